import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { concat } from "../../../src/bytes.js";
import { encrypt } from "../../../src/envelope/encrypt.js";
import { inspect } from "../../../src/envelope/inspect.js";
import { decryptRange, openRange } from "../../../src/envelope/range.js";
import type { RangeSource } from "../../../src/envelope/range-source.js";
import { suiteOf } from "../../../src/message/suites.js";
import { forge, forgeOptions } from "../../forge.js";
import { aesKeyring, countingBytes, expectBytes, expectCode, failureOf, flipBit, rangeOf } from "../../kit.js";

const keyring = aesKeyring();
const plaintext = countingBytes(1000);
const options = { keyring };
const message = await encrypt(plaintext, { keyring, frameBytes: 64, context: { tenant: "acme" } });
const HEADER = inspect(message).headerBytes;

describe("decryptRange", () => {
  test("every range equals the slice, cut off at the end", async () => {
    for (const offset of [0, 1, 63, 64, 65, 127, 500, 959, 960, 999, 1000, 1001, 5000]) {
      for (const length of [0, 1, 2, 64, 65, 128, 1000, 5000]) {
        expectBytes(
          await decryptRange(rangeOf(message), offset, length, options),
          plaintext.slice(offset, offset + length),
        );
      }
    }
  });

  test("reads a path, a file URL, and says ERR_IO where there is none", async () => {
    const folder = await mkdtemp(join(tmpdir(), "keyladder-range-"));
    try {
      const file = join(folder, "message");
      await writeFile(file, message);
      expectBytes(await decryptRange(file, 100, 50, options), plaintext.subarray(100, 150));
      expectBytes(await decryptRange(pathToFileURL(file), 100, 50, options), plaintext.subarray(100, 150));
      await expectCode(decryptRange(join(folder, "nothing"), 0, 1, options), "ERR_IO");
      await expectCode(decryptRange(folder, 0, 1, options), "ERR_IO");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test.each([
    [-1, 1],
    [0.5, 1],
    [0, -1],
    [0, undefined],
    [undefined, 1],
    ["0", 1],
  ])("offset %o, length %o: ERR_INPUT", async (offset, length) => {
    await expectCode(decryptRange(rangeOf(message), offset as number, length as number, options), "ERR_INPUT");
  });

  test.each([[5], [{}], [{ byteLength: 5 }], [null], [""]])("source %o: ERR_INPUT", async (source) => {
    await expectCode(decryptRange(source as unknown as RangeSource, 0, 1, options), "ERR_INPUT");
  });
});

describe("openRange", () => {
  test("slices as Blob.slice does, and reads only what it must", async () => {
    const reads: [number, number | undefined][] = [];
    const whole = rangeOf(message);
    const source: RangeSource = {
      byteLength: whole.byteLength,
      slice: (start, end) => {
        reads.push([start, end]);
        return whole.slice(start, end);
      },
    };
    const range = await openRange(source, { ...options, context: { tenant: "acme" } });
    expect(range.byteLength).toBe(1000);
    expect(range.header.frameBytes).toBe(64);
    const last = HEADER + 15 * 96;
    expect(reads).toEqual([
      [0, message.length],
      [last, message.length],
    ]);
    reads.length = 0;
    expectBytes(new Uint8Array(await range.slice(130, 140)), plaintext.subarray(130, 140));
    expect(reads).toEqual([[HEADER + 2 * 96, HEADER + 3 * 96]]);
    const blob = new Blob([plaintext]);
    for (const [start, end] of [[0], [-10], [-10, -5], [10, 5], [990, 2000], [-5000, 3], [1000], [3, -997]] as const) {
      expectBytes(
        new Uint8Array(await range.slice(start as number, end)),
        new Uint8Array(await blob.slice(start, end).arrayBuffer()),
      );
    }
    await expectCode(range.slice(0.5), "ERR_INPUT");
  });

  test("a header longer than the first read", async () => {
    const long = await encrypt(plaintext, { keyring, frameBytes: 64, context: { k: "v".repeat(30_000) } });
    expectBytes(await decryptRange(rangeOf(long), 10, 10, options), plaintext.subarray(10, 20));
  });

  test("of nothing", async () => {
    const range = await openRange(rangeOf(await encrypt("", options)), options);
    expect([range.byteLength, (await range.slice(0)).byteLength]).toEqual([0, 0]);
  });

  test("messages of other writers: an empty final frame, version 1", async () => {
    for (const id of [0x0014, 0x0178, 0x0478] as const) {
      const other = forge({ suite: suiteOf(id), plaintext: countingBytes(96), frameBytes: 16, emptyFinal: true });
      const range = await openRange(rangeOf(other), forgeOptions);
      expectBytes(new Uint8Array(await range.slice(30, 96)), countingBytes(96).subarray(30));
    }
  });

  test("a source cut anywhere is refused on opening", async () => {
    for (let length = 0; length < message.length; length += length > HEADER ? 1 : 20) {
      const error = await failureOf(openRange(rangeOf(message.slice(0, length)), options));
      expect([length, error]).toMatchObject([length, { code: "ERR_TRUNCATED" }]);
    }
  });

  test("a source with bytes behind the message is refused on opening", async () => {
    for (const extra of [1, 40, 96, 136]) {
      const error = await failureOf(openRange(rangeOf(concat(message, new Uint8Array(extra))), options));
      expect(error).toMatchObject({ name: "FormatError" });
    }
  });

  test("a source that gives less than it said", async () => {
    const lying: RangeSource = {
      byteLength: message.length,
      slice: async (start, end = message.length) => rangeOf(message).slice(start, Math.max(start, end - 1)),
    };
    await expectCode(openRange(lying, options), "ERR_TRUNCATED");
    const empty: RangeSource = { byteLength: message.length, slice: async () => new ArrayBuffer(0) };
    await expectCode(openRange(empty, options), "ERR_TRUNCATED");
  });

  test("signed and non-framed messages are refused", async () => {
    const signed = await encrypt("x", { keyring, suite: 0x0578 });
    await expectCode(openRange(rangeOf(signed), options), "ERR_SIGNED_STREAM");
    const unframed = forge({ suite: suiteOf(0x0478), plaintext, frameBytes: 0 });
    await expectCode(openRange(rangeOf(unframed), forgeOptions), "ERR_INPUT");
  });

  test("policies hold: context, commitment, data keys, plaintext, key", async () => {
    const source = rangeOf(message);
    await expectCode(openRange(source, { ...options, context: { tenant: "globex" } }), "ERR_CONTEXT_MISMATCH");
    await expectCode(openRange(source, { ...options, maxPlaintextBytes: 999 }), "ERR_LIMIT_PLAINTEXT");
    await expectCode(openRange(source, { keyring: aesKeyring(2) }), "ERR_DECRYPT");
    const old = forge({ suite: suiteOf(0x0178), plaintext, frameBytes: 64 });
    await expectCode(openRange(rangeOf(old), { keyring: forgeOptions.keyring }), "ERR_COMMITMENT_POLICY");
    const reason = new TypeError("mine");
    expect(await failureOf(openRange(source, { ...options, signal: AbortSignal.abort(reason) }))).toBe(reason);
  });

  test("a damaged frame fails where it is read, and nowhere else", async () => {
    const range = await openRange(rangeOf(flipBit(message, 8 * (HEADER + 3 * 96 + 20))), options);
    expectBytes(new Uint8Array(await range.slice(0, 192)), plaintext.subarray(0, 192));
    expectBytes(new Uint8Array(await range.slice(256)), plaintext.subarray(256));
    await expectCode(range.slice(200, 201), "ERR_DECRYPT");
    await expectCode(range.slice(0), "ERR_DECRYPT");
  });
});
