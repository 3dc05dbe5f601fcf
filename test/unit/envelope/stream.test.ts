import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describe, expect, test } from "vitest";
import { concat } from "../../../src/bytes.js";
import { DataKey } from "../../../src/engine/data-key.js";
import { decrypt } from "../../../src/envelope/decrypt.js";
import { encrypt } from "../../../src/envelope/encrypt.js";
import { inspect } from "../../../src/envelope/inspect.js";
import type { DecryptOptions, EncryptOptions } from "../../../src/envelope/options.js";
import { decryptStream, encryptStream } from "../../../src/envelope/stream.js";
import type { Keyring } from "../../../src/keyring/port.js";
import { DEFAULT_MAX_HELD_BYTES } from "../../../src/message/limits.js";
import { suiteOf } from "../../../src/message/suites.js";
import { forge, forgeOptions } from "../../forge.js";
import { aesKeyring, chunksOf, countingBytes, drain, expectBytes, expectCode, flipBit, pump } from "../../kit.js";

const keyring = aesKeyring();
const plaintext = countingBytes(1000);
const failing = (stream: TransformStream<Uint8Array, Uint8Array>, chunks: Iterable<unknown>) =>
  drain(stream, chunks).then(({ error }) => Promise.reject(error));

describe("encryptStream", () => {
  test.each([0x0478, 0x0578] as const)("suite %i: any chunking makes a message that opens", async (suite) => {
    for (const frameBytes of [1, 16, 100, 1000, 4096]) {
      for (const lengths of [[1000], [1], [16], [15, 17, 1, 500], [999, 1]]) {
        const message = await pump(encryptStream({ keyring, suite, frameBytes }), chunksOf(plaintext, ...lengths));
        expectBytes((await decrypt(message, { keyring })).plaintext, plaintext);
        const { headerBytes } = inspect(message);
        const frames = Math.ceil(1000 / frameBytes);
        const body = 1000 + 32 * (frames - 1) + 40;
        if (suite === 0x0478) expect(message.length).toBe(headerBytes + body);
      }
    }
  });

  test("of nothing, and of empty chunks, is a message of nothing", async () => {
    for (const chunks of [[], [new Uint8Array(0)], [new Uint8Array(0), new Uint8Array(0)]]) {
      const message = await pump(encryptStream({ keyring }), chunks);
      expect((await decrypt(message, { keyring })).plaintext).toHaveLength(0);
    }
  });

  test("empty chunks in between change nothing", async () => {
    const nothing = new Uint8Array(0);
    const chunks = [nothing, plaintext.subarray(0, 16), nothing, plaintext.subarray(16, 32), nothing];
    const message = await pump(encryptStream({ keyring, frameBytes: 16 }), chunks);
    expectBytes((await decrypt(message, { keyring })).plaintext, plaintext.subarray(0, 32));
  });

  test("does not keep chunks: one buffer may serve for all", async () => {
    const buffer = new Uint8Array(7);
    function* reused() {
      for (let at = 0; at < 994; at += 7) {
        buffer.set(plaintext.subarray(at, at + 7));
        yield buffer;
      }
    }
    const stream = encryptStream({ keyring, frameBytes: 20 });
    const reader = stream.readable.getReader();
    const parts: Uint8Array[] = [];
    const reading = (async () => {
      for (let read = await reader.read(); !read.done; read = await reader.read()) parts.push(read.value);
    })();
    const writer = stream.writable.getWriter();
    for (const chunk of reused()) await writer.write(chunk);
    await writer.close();
    await reading;
    expectBytes((await decrypt(concat(...parts), { keyring })).plaintext, plaintext.subarray(0, 994));
  });

  test.each([["text"], [5], [null], [[1, 2]], [new ArrayBuffer(3)], [new Uint16Array(3)]])(
    "refuses a chunk %o",
    async (chunk) => {
      await expectCode(failing(encryptStream({ keyring }), [chunk]), "ERR_INPUT");
      await expectCode(failing(decryptStream({ keyring }), [chunk]), "ERR_INPUT");
    },
  );

  test("plaintextBytes is a bound", async () => {
    await pump(encryptStream({ keyring, plaintextBytes: 1000 }), [plaintext]);
    await expectCode(failing(encryptStream({ keyring, plaintextBytes: 999 }), [plaintext]), "ERR_LIMIT_PLAINTEXT");
  });

  test("bad options throw at once", async () => {
    await expectCode(() => encryptStream({ keyring, frameBytes: 0 }), "ERR_INPUT");
    await expectCode(() => encryptStream(undefined as unknown as EncryptOptions), "ERR_INPUT");
    await expectCode(() => decryptStream({ keyring, out: new Uint8Array(1) }), "ERR_INPUT");
    await expectCode(() => decryptStream(null as unknown as DecryptOptions), "ERR_INPUT");
  });

  test("goes into Node's pipeline", async () => {
    const parts: Uint8Array[] = [];
    // @types/node does not say yet what pipeline takes: Web streams too.
    const node = (stream: TransformStream) => stream as unknown as NodeJS.ReadWriteStream;
    await pipeline(
      Readable.from([Buffer.from(plaintext)]),
      node(encryptStream({ keyring, frameBytes: 64 })),
      node(decryptStream({ keyring })),
      async (source: AsyncIterable<unknown>) => {
        for await (const chunk of source) parts.push(chunk as Uint8Array);
      },
    );
    expectBytes(concat(...parts), plaintext);
  });
});

describe("decryptStream", () => {
  const message = () => encrypt(plaintext, { keyring, frameBytes: 100 });

  test("tells the authenticated header before the end", async () => {
    const bytes = await message();
    const stream = decryptStream({ keyring });
    const writer = stream.writable.getWriter();
    void writer.write(bytes.subarray(0, inspect(bytes).headerBytes));
    void stream.readable.getReader().read();
    const header = await stream.header;
    expect([header.suite, header.frameBytes]).toEqual([0x0478, 100]);
  });

  test("header rejects as the stream does", async () => {
    const stream = decryptStream({ keyring: aesKeyring(2) });
    const { error } = await drain(stream, [await message()]);
    await expectCode(Promise.reject(error), "ERR_DECRYPT");
    await expectCode(stream.header, "ERR_DECRYPT");
    const empty = decryptStream({ keyring });
    await expectCode(failing(empty, []), "ERR_TRUNCATED");
    await expectCode(empty.header, "ERR_TRUNCATED");
  });

  test("releases frames as they come", async () => {
    const bytes = await message();
    const { headerBytes } = inspect(bytes);
    const { bytes: released, error } = await drain(
      decryptStream({ keyring }),
      chunksOf(bytes.subarray(0, headerBytes + 3 * 132 + 50), headerBytes, 132),
    );
    expectBytes(released, plaintext.subarray(0, 300));
    await expectCode(Promise.reject(error), "ERR_TRUNCATED");
  });

  test("a failing frame releases nothing of its batch", async () => {
    const bytes = await message();
    const { bytes: released, error } = await drain(decryptStream({ keyring }), [flipBit(bytes, 8 * bytes.length - 1)]);
    expect(released).toHaveLength(0);
    await expectCode(Promise.reject(error), "ERR_DECRYPT");
  });

  test("holds at most one frame of 64 MiB, unless told", async () => {
    const big = new Uint8Array(DEFAULT_MAX_HELD_BYTES + 1);
    for (const frameBytes of [0, big.length]) {
      const bytes = forge({ suite: suiteOf(0x0478), plaintext: big, frameBytes });
      await expectCode(failing(decryptStream(forgeOptions), chunksOf(bytes, 1 << 20)), "ERR_LIMIT_PLAINTEXT");
      const raised = decryptStream({ ...forgeOptions, maxPlaintextBytes: big.length });
      expect((await pump(raised, chunksOf(bytes, 1 << 20))).length).toBe(big.length);
    }
  });
});

describe("signed streams", () => {
  const signedMessage = () => encrypt(plaintext, { keyring, suite: 0x0578, frameBytes: 100 });

  test.each([undefined, "refuse"] as const)("are refused where signed is %s", async (signed) => {
    const options = signed === undefined ? { keyring } : { keyring, signed };
    const { bytes, error } = await drain(decryptStream(options), chunksOf(await signedMessage(), 50));
    expect(bytes).toHaveLength(0);
    await expectCode(Promise.reject(error), "ERR_SIGNED_STREAM");
  });

  test("verify-at-end holds the last frame back until the signature verified", async () => {
    const message = await signedMessage();
    const signatureAt = inspect(message).headerBytes + 9 * 132 + 140;
    const stream = () => decryptStream({ keyring, signed: "verify-at-end" });
    const early = await drain(stream(), [message.subarray(0, signatureAt)]);
    expectBytes(early.bytes, plaintext.subarray(0, 900));
    await expectCode(Promise.reject(early.error), "ERR_TRUNCATED");
    for (const lengths of [[message.length], [1], [signatureAt, 1]]) {
      const late = await drain(stream(), chunksOf(flipBit(message, 8 * (message.length - 3)), ...lengths));
      expect(late.bytes.length).toBeLessThanOrEqual(900);
      await expectCode(Promise.reject(late.error), "ERR_DECRYPT");
    }
    expectBytes(await pump(stream(), chunksOf(message, signatureAt, 1)), plaintext);
  });

  test("a non-framed signed body is held whole", async () => {
    const message = forge({ suite: suiteOf(0x0578), plaintext, frameBytes: 0 });
    const bad = flipBit(message, 8 * message.length - 1);
    const { bytes, error } = await drain(decryptStream({ ...forgeOptions, signed: "verify-at-end" }), chunksOf(bad, 9));
    expect(bytes).toHaveLength(0);
    await expectCode(Promise.reject(error), "ERR_DECRYPT");
  });
});

describe("abort and cancel", () => {
  const reason = { why: "the user left" };

  test.each([
    ["encryptStream", (signal: AbortSignal) => encryptStream({ keyring, signal })],
    ["decryptStream", (signal: AbortSignal) => decryptStream({ keyring, signal })],
  ])("%s ends in the signal's reason, unchanged", async (_name, make) => {
    expect((await drain(make(AbortSignal.abort(reason)), [plaintext])).error).toBe(reason);
    const controller = new AbortController();
    const stream = make(controller.signal);
    const reader = stream.readable.getReader();
    const reading = reader.read();
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await expect(stream.writable.getWriter().closed).rejects.toBe(reason);
  });

  test("a signal that fires after the end changes nothing", async () => {
    const controller = new AbortController();
    const message = await pump(encryptStream({ keyring, signal: controller.signal }), [plaintext]);
    controller.abort(reason);
    expectBytes((await decrypt(message, { keyring })).plaintext, plaintext);
  });

  test("a reader who leaves while the keyring is asked: the data key is let go of", async () => {
    const keys: DataKey[] = [];
    let answer: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const slow: Keyring = {
      ...keyring,
      wrapDataKey: (request) => keyring.wrapDataKey(request),
      unwrapDataKey: (request) => keyring.unwrapDataKey(request),
      async generateDataKey(request) {
        await asked;
        const generated = await keyring.generateDataKey(request);
        keys.push(generated.dataKey);
        return generated;
      },
    };
    const stream = encryptStream({ keyring: slow });
    const writer = stream.writable.getWriter();
    const writing = writer.write(plaintext).catch((error) => error);
    const reader = stream.readable.getReader();
    const reading = reader.read();
    await new Promise((resolve) => setImmediate(resolve));
    await reader.cancel(reason);
    answer();
    await Promise.allSettled([writing, reading]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(keys[0]).toBeInstanceOf(DataKey);
    await expectCode(() => keys[0]?.byteLength, "ERR_CLOSED");
  });
});
