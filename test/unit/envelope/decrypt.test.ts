import { describe, expect, test } from "vitest";
import { concat, readU16, u32, writeU16, writeU32 } from "../../../src/bytes.js";
import { decrypt } from "../../../src/envelope/decrypt.js";
import { encrypt } from "../../../src/envelope/encrypt.js";
import { inspect } from "../../../src/envelope/inspect.js";
import type { DecryptOptions } from "../../../src/envelope/options.js";
import { decryptStream } from "../../../src/envelope/stream.js";
import { type ErrorCode, KeyladderError } from "../../../src/errors.js";
import { suiteOf } from "../../../src/message/suites.js";
import { forge, forgeOptions } from "../../forge.js";
import {
  aesKeyring,
  chunksOf,
  countingBytes,
  drain,
  expectBytes,
  expectCode,
  failureOf,
  flipBit,
  openEveryWay,
  SLOW,
} from "../../kit.js";

const keyring = aesKeyring();
const plaintext = countingBytes(40);
/** Two regular frames of 16 bytes, a final one of 8. */
const shape = { keyring, frameBytes: 16 } as const;
const unsigned = await encrypt(plaintext, shape);
const signed = await encrypt(plaintext, { ...shape, suite: 0x0578, context: { tenant: "acme" } });
const unframed = forge({ suite: suiteOf(0x0378), plaintext, frameBytes: 0 });
const options: DecryptOptions = { keyring };
const HEADER = inspect(unsigned).headerBytes;

/** Refused by one-shot decrypt and by the stream, which never ends cleanly nor releases what is not the plaintext. */
async function refused(message: Uint8Array, given: DecryptOptions, lengths: number[] = [message.length]) {
  const error = await failureOf(decrypt(message, given));
  expect(error).toBeInstanceOf(KeyladderError);
  const { bytes, error: late } = await drain(
    decryptStream({ ...given, signed: "verify-at-end" }),
    chunksOf(message, ...lengths),
  );
  expect(late).toBeInstanceOf(KeyladderError);
  expectBytes(bytes, plaintext.subarray(0, bytes.length));
  return { error: error as KeyladderError, late: late as KeyladderError, released: bytes.length };
}

async function refusedWith(code: ErrorCode, message: Uint8Array, given: DecryptOptions = options) {
  for (const lengths of [[message.length], [1], [HEADER, 5]]) {
    const { error, late } = await refused(message, given, lengths);
    expect([error.code, late.code]).toEqual([code, code]);
  }
}

describe.each([
  ["unsigned", unsigned, options],
  ["signed", signed, { ...options, context: { tenant: "acme" } }],
  ["version 1, signed, non-framed", unframed, forgeOptions],
] as const)("%s", (_name, message, given) => {
  test("cut at every byte: ERR_TRUNCATED, and never a clean end", async () => {
    await openEveryWay(message, plaintext, given);
    for (let length = 0; length < message.length; length++) {
      const { error, late } = await refused(message.slice(0, length), given, length % 2 === 0 ? [length] : [3]);
      expect([length, error.code, late.code]).toEqual([length, "ERR_TRUNCATED", "ERR_TRUNCATED"]);
    }
  });

  test("with any one bit flipped: always an error, never plaintext", async () => {
    const codes = new Set<string>();
    for (let bit = 0; bit < 8 * message.length; bit++) {
      const out = new Uint8Array(plaintext.length);
      const error = await failureOf(decrypt(flipBit(message, bit), { ...given, out }));
      if (!(error instanceof KeyladderError)) throw new Error(`bit ${bit}: ${error ?? "opened"}`);
      expectBytes(out, new Uint8Array(plaintext.length));
      codes.add(error.code);
    }
    expect(codes).toContain("ERR_DECRYPT");
  });

  test("with a bit flipped, streamed: an error at the end, and nothing released but true plaintext", async () => {
    for (let bit = 0; bit < 8 * message.length; bit += 5) await refused(flipBit(message, bit), given, [1 + (bit % 60)]);
  });

  test("followed by one byte: ERR_TRAILING_BYTES", async () => {
    await refusedWith("ERR_TRAILING_BYTES", concat(message, Uint8Array.of(0)), given);
    await refusedWith("ERR_TRAILING_BYTES", concat(message, message), given);
  });
});

describe("frames", () => {
  const frame = (i: number) => unsigned.subarray(HEADER + 48 * i, HEADER + 48 * (i + 1));
  const header = unsigned.subarray(0, HEADER);
  const [first, second, last] = [frame(0), frame(1), unsigned.subarray(HEADER + 96)];
  const sequenceOf = (bytes: Uint8Array, sequence: number) => concat(u32(sequence), bytes.subarray(4));

  test.each<[string, ErrorCode, readonly Uint8Array[]]>([
    ["swapped", "ERR_FORMAT", [second, first, last]],
    ["repeated", "ERR_FORMAT", [first, first, second, last]],
    ["dropped", "ERR_FORMAT", [second, last]],
    ["dropped before the last", "ERR_FORMAT", [first, last]],
    ["swapped, numbers in place", "ERR_DECRYPT", [sequenceOf(second, 1), sequenceOf(first, 2), last]],
    ["only the last", "ERR_FORMAT", [last]],
    ["the last twice", "ERR_TRAILING_BYTES", [first, second, last, last]],
    ["without the last", "ERR_TRUNCATED", [first, second]],
    ["none", "ERR_TRUNCATED", []],
  ])("%s: %s", async (_what, code, frames) => {
    await refusedWith(code, concat(header, ...frames));
  });

  test("of another message under the same key", async () => {
    const other = await encrypt(plaintext, shape);
    await refusedWith("ERR_DECRYPT", concat(header, other.subarray(HEADER)));
    await refusedWith("ERR_DECRYPT", concat(other.subarray(0, HEADER), unsigned.subarray(HEADER)));
  });

  test("a final frame of zero bytes behind full frames opens; one that claims more than a frame does not", async () => {
    const suite = suiteOf(0x0478);
    const full = forge({ suite, plaintext: countingBytes(32), frameBytes: 16, emptyFinal: true });
    await openEveryWay(full, countingBytes(32), forgeOptions);
    const claims = new Uint8Array(unsigned);
    writeU32(claims, HEADER + 96 + 20, 17);
    await refusedWith("ERR_FORMAT", claims);
  });
});

describe("what the header claims", () => {
  const edit = (at: number, bytes: readonly number[]) => {
    const copy = new Uint8Array(unsigned);
    copy.set(bytes, at < 0 ? HEADER + at : at);
    return copy;
  };
  // Version 2: version 1, suite 2, id 32, context length 2, data key count 2 … content type 1, frame length 4, commitment 32, tag 16.
  test.each<[string, ErrorCode, Uint8Array]>([
    ["an unknown suite", "ERR_FORMAT", edit(1, [0, 0])],
    ["a suite of version 1", "ERR_FORMAT", edit(1, [0, 0x14])],
    ["version 3", "ERR_UNSUPPORTED_VERSION", edit(0, [3])],
    ["version 0", "ERR_UNSUPPORTED_VERSION", edit(0, [0])],
    ["no data keys", "ERR_FORMAT", edit(37, [0, 0])],
    ["65 data keys", "ERR_LIMIT_DATA_KEYS", edit(37, [0, 65])],
    ["65535 data keys", "ERR_LIMIT_DATA_KEYS", edit(37, [255, 255])],
    ["content type 0", "ERR_FORMAT", edit(-53, [0])],
    ["content type 3", "ERR_FORMAT", edit(-53, [3])],
    ["a non-framed body with a frame length", "ERR_FORMAT", edit(-53, [1])],
    ["frames of no bytes", "ERR_FORMAT", edit(-52, [0, 0, 0, 0])],
    ["another commitment", "ERR_DECRYPT", edit(-48, [1, 2, 3, 4])],
    ["another header tag", "ERR_DECRYPT", edit(-16, [1, 2, 3, 4])],
    ["a provider id that is no UTF-8", "ERR_FORMAT", edit(41, [0xff])],
  ])("%s: %s", async (_what, code, message) => {
    await refusedWith(code, message);
  });

  test("a context that is no UTF-8", async () => {
    const message = await encrypt("x", { keyring, context: { key: "value" } });
    const at = Buffer.from(message).indexOf("value");
    expect(inspect(message).context.key).toBe("value");
    message[at] = 0xc0;
    expect((await expectCode(decrypt(message, options), "ERR_FORMAT")).offset).toBe(at);
  });

  test("a signing key in an unsigned message, none in a signed one", async () => {
    const suite = suiteOf(0x0478);
    const smuggled = forge({ suite, plaintext, frameBytes: 16, context: { "aws-crypto-public-key": "AAAA" } });
    await expectCode(decrypt(smuggled, forgeOptions), "ERR_FORMAT");
    const bare = forge({ suite, plaintext, frameBytes: 16 });
    writeU16(bare, 1, 0x0578);
    await expectCode(decrypt(concat(bare, new Uint8Array(105)), forgeOptions), "ERR_TRAILING_BYTES");
    const footer = new Uint8Array(105);
    footer[1] = 103;
    await expectCode(decrypt(concat(bare, footer), forgeOptions), "ERR_FORMAT");
  });

  test("lengths at their maximum cost no memory before the bytes are there", async () => {
    const framed = forge({ suite: suiteOf(0x0478), plaintext: countingBytes(9), frameBytes: 0xffff_ffff });
    await openEveryWay(framed, countingBytes(9), forgeOptions);
    const body = inspect(framed).headerBytes;
    const hugeFinal = new Uint8Array(framed);
    writeU32(hugeFinal, body + 20, 0xffff_ffff);
    const hugeRegular = concat(framed.subarray(0, body), u32(1), new Uint8Array(100));
    const hugeBody = forge({ suite: suiteOf(0x0178), plaintext: countingBytes(9), frameBytes: 0 });
    hugeBody.set([0, 0, 0, 0x0f, 0xff, 0xff, 0xff, 0xe0], inspect(hugeBody).headerBytes + 12);
    const hugeContext = new Uint8Array(unsigned);
    writeU16(hugeContext, 35, 0xffff);
    const before = process.memoryUsage();
    for (const message of [hugeFinal, hugeRegular, hugeBody, hugeContext]) {
      for (const maxPlaintextBytes of [Number.MAX_SAFE_INTEGER, 2 ** 26]) {
        const given = { ...forgeOptions, maxPlaintextBytes };
        await expectCode(decrypt(message, given), "ERR_TRUNCATED");
        const { error } = await drain(decryptStream(given), chunksOf(message, 7));
        const held = maxPlaintextBytes === 2 ** 26 && message !== hugeContext;
        await expectCode(Promise.reject(error), held ? "ERR_LIMIT_PLAINTEXT" : "ERR_TRUNCATED");
      }
    }
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(2 ** 22);
    expect(after.rss - before.rss).toBeLessThan(2 ** 26);
  });

  test("a non-framed body may not claim more than 2^36 - 32 bytes", async () => {
    const message = forge({ suite: suiteOf(0x0178), plaintext: countingBytes(9), frameBytes: 0 });
    message.set([0, 0, 0, 0x0f, 0xff, 0xff, 0xff, 0xe1], inspect(message).headerBytes + 12);
    await expectCode(decrypt(message, forgeOptions), "ERR_FORMAT");
  });
});

describe("65535 encrypted data keys", () => {
  const edks = Array.from({ length: 65535 }, (_, i) => ["p", `${i % 10}`, Uint8Array.of(i, i >> 8)] as const);
  const message = forge({ suite: suiteOf(0x0478), plaintext, frameBytes: 16, dataKeys: edks });

  test("are more than the default limit of 64", async () => {
    await refusedWith("ERR_LIMIT_DATA_KEYS", message.subarray(0, 100), forgeOptions);
    const error = await expectCode(decrypt(message, forgeOptions), "ERR_LIMIT_DATA_KEYS");
    expect(error.message).toContain("64");
  });

  test("parse where the limit is raised, whole and byte by byte", async () => {
    expect(inspect(message).encryptedDataKeys).toHaveLength(65535);
    const given = { ...forgeOptions, maxEncryptedDataKeys: 65535 };
    expectBytes((await decrypt(message, given)).plaintext, plaintext);
    const { bytes, error } = await drain(decryptStream(given), chunksOf(message, 1));
    expect(error).toBeUndefined();
    expectBytes(bytes, plaintext);
  });
});

describe("not a message", () => {
  test("base64 text, and its bytes", async () => {
    for (const message of [unsigned, unframed]) {
      const text = Buffer.from(message).toString("base64");
      await expectCode(decrypt(text as unknown as Uint8Array, options), "ERR_LOOKS_LIKE_BASE64");
      await refusedWith("ERR_LOOKS_LIKE_BASE64", new TextEncoder().encode(text));
      await expectCode(() => inspect(text as unknown as Uint8Array), "ERR_LOOKS_LIKE_BASE64");
    }
  });

  test.each([["text"], [5], [null], [undefined], [[1, 2, 3]], [{ length: 3 }]])("%o", async (message) => {
    await expectCode(decrypt(message as unknown as Uint8Array, options), "ERR_INPUT");
  });

  test("an ArrayBuffer is not a Uint8Array", async () => {
    await expectCode(decrypt(unsigned.buffer as unknown as Uint8Array, options), "ERR_INPUT");
  });
});

describe("demands", () => {
  test("a wrong value: ERR_CONTEXT_MISMATCH, naming the key and never a value", async () => {
    const given = { ...options, context: { tenant: "globex" } };
    const error = await expectCode(decrypt(signed, given), "ERR_CONTEXT_MISMATCH");
    expect(error.contextKey).toBe("tenant");
    expect(error.message).toContain("tenant");
    expect(error.message).not.toMatch(/globex|acme/);
    await refusedWith("ERR_CONTEXT_MISMATCH", signed, given);
  });

  test("a pair that was never bound is not authentic", async () => {
    await refusedWith("ERR_DECRYPT", unsigned, { ...options, context: { tenant: "acme" } });
  });

  test("fewer pairs than are bound are fine, and all come back", async () => {
    const opened = await decrypt(signed, options);
    expect({ ...opened.context }).toEqual({ tenant: "acme" });
  });

  test("version 1 under the strict policy: ERR_COMMITMENT_POLICY", async () => {
    const { keyring } = forgeOptions;
    await refusedWith("ERR_COMMITMENT_POLICY", unframed, { keyring });
    for (const commitmentPolicy of ["REQUIRE_ENCRYPT_ALLOW_DECRYPT", "FORBID_ENCRYPT_ALLOW_DECRYPT"] as const) {
      expectBytes((await decrypt(unframed, { keyring, commitmentPolicy })).plaintext, plaintext);
    }
  });

  test("maxPlaintextBytes", async () => {
    await openEveryWay(unsigned, plaintext, { ...options, maxPlaintextBytes: 40 });
    await openEveryWay(signed, plaintext, { ...options, maxPlaintextBytes: 40 });
    await openEveryWay(unframed, plaintext, { ...forgeOptions, maxPlaintextBytes: 40 });
    await refusedWith("ERR_LIMIT_PLAINTEXT", unsigned, { ...options, maxPlaintextBytes: 39 });
    await refusedWith("ERR_LIMIT_PLAINTEXT", unsigned, { ...options, maxPlaintextBytes: 15 });
    await refusedWith("ERR_LIMIT_PLAINTEXT", unsigned, { ...options, maxPlaintextBytes: 0 });
    await refusedWith("ERR_LIMIT_PLAINTEXT", unframed, { ...forgeOptions, maxPlaintextBytes: 39 });
  });

  test('signed: "refuse" refuses a signed message, whole too', async () => {
    await expectCode(decrypt(signed, { ...options, signed: "refuse" }), "ERR_SIGNED_STREAM");
    await decrypt(unsigned, { ...options, signed: "refuse" });
  });

  test.each<[string, object]>([
    ["no keyring", { keyring: undefined }],
    ["a signal that is none", { signal: "stop" }],
    ["a negative bound", { maxPlaintextBytes: -1 }],
    ["an unknown word for signed", { signed: "maybe" }],
    ["an unknown policy", { commitmentPolicy: "" }],
    ["out that is no array", { out: "buffer" }],
  ])("%s: ERR_INPUT", async (_what, wrong) => {
    await expectCode(decrypt(unsigned, { ...options, ...wrong }), "ERR_INPUT");
  });
});

describe("keys", () => {
  test("a wrong key and a damaged message read the same", async () => {
    const wrongKey = await expectCode(decrypt(unsigned, { keyring: aesKeyring(2) }), "ERR_DECRYPT");
    const damaged = await expectCode(decrypt(flipBit(unsigned, 8 * unsigned.length - 1), options), "ERR_DECRYPT");
    expect(wrongKey.message).toBe(damaged.message);
  });

  test("no key at hand: what was there is named", async () => {
    const error = await expectCode(decrypt(unsigned, { keyring: aesKeyring(1, "other") }), "ERR_NO_KEYRING_MATCHED");
    expect(error.tried).toEqual(["test"]);
  });
});

describe("out", () => {
  test("too small: ERR_OUTPUT_TOO_SMALL says how much is needed, and nothing is written", async () => {
    const out = new Uint8Array(39);
    const error = await expectCode(decrypt(unsigned, { ...options, out }), "ERR_OUTPUT_TOO_SMALL");
    expect(error.neededBytes).toBe(40);
    expect(out).toEqual(new Uint8Array(39));
  });

  test("in place at the same start, or disjoint in the same buffer", async () => {
    const slab = new Uint8Array(unsigned.length + 100);
    slab.set(unsigned, 60);
    const message = slab.subarray(60, 60 + unsigned.length);
    const disjoint = await decrypt(message, { ...options, out: slab.subarray(0, 60) });
    expectBytes(disjoint.plaintext, plaintext);
    const inPlace = await decrypt(message, { ...options, out: message });
    expect(inPlace.plaintext.byteOffset).toBe(60);
    expectBytes(inPlace.plaintext, plaintext);
  });

  test.each([-1, 1, 20, -39])("overlapping at %i: ERR_OVERLAP, the message untouched", async (shift) => {
    const slab = new Uint8Array(unsigned.length + 200);
    slab.set(unsigned, 100);
    const message = slab.subarray(100, 100 + unsigned.length);
    const out = slab.subarray(100 + shift);
    await expectCode(decrypt(message, { ...options, out }), "ERR_OVERLAP");
    expectBytes(message, unsigned);
  });

  test("is zeroed where a later frame or the signature fails", async () => {
    for (const [message, bit] of [
      [unsigned, 8 * unsigned.length - 1],
      [signed, 8 * signed.length - 1],
    ] as const) {
      const out = new Uint8Array(50).fill(0xee);
      await expectCode(decrypt(flipBit(message, bit), { ...options, out }), "ERR_DECRYPT");
      expectBytes(out.subarray(0, 40), new Uint8Array(40));
    }
  });

  test("without it the plaintext has a buffer of its own", async () => {
    const opened = await decrypt(unsigned, options);
    expect(opened.plaintext.buffer.byteLength).toBe(40);
    expectBytes(unsigned, new Uint8Array(unsigned));
  });
});

test("a Buffer, a subarray of one, and a view of shared memory are messages too", async () => {
  const shared = new Uint8Array(new SharedArrayBuffer(unsigned.length));
  shared.set(unsigned);
  const padded = Buffer.concat([Buffer.from("pad"), unsigned, Buffer.from("pad")]);
  for (const message of [Buffer.from(unsigned), padded.subarray(3, 3 + unsigned.length), shared]) {
    expectBytes((await decrypt(message, options)).plaintext, plaintext);
  }
});

if (SLOW) {
  test("more than 2 GiB, in small frames and in one, signed", { timeout: 600_000 }, async () => {
    const huge = new Uint8Array(2 ** 31 + 5).fill(0x5a, 2 ** 31);
    for (const frameBytes of [2 ** 20, 0xffff_ffff]) {
      const message = await encrypt(huge, { keyring, suite: 0x0578, frameBytes });
      const opened = await decrypt(message, { keyring, out: message });
      expect(opened.plaintext.length).toBe(huge.length);
      expectBytes(opened.plaintext.subarray(2 ** 31 - 20), huge.subarray(2 ** 31 - 20));
    }
  });
}

test("inspect takes a prefix that holds the header, and nothing shorter", async () => {
  expect(inspect(unsigned.subarray(0, HEADER)).headerBytes).toBe(HEADER);
  for (let length = 0; length < HEADER; length++) {
    await expectCode(() => inspect(unsigned.subarray(0, length)), "ERR_TRUNCATED");
  }
  expect(readU16(unsigned, 1)).toBe(0x0478);
});
