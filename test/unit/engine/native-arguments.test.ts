/** What the addon does with arguments that are wrong: a coded answer, no byte written, nothing undefined. */

import { expect, test } from "vitest";
import { concat } from "../../../src/bytes.js";
import type { KeyHandle } from "../../../src/engine/addon.js";
import { addon, codeOf, describeNative, importKey, kernels, sealingKey, shared } from "../../addon.js";
import { countingBytes } from "../../kit.js";

const EMPTY = new Uint8Array(0);
const NONCE = countingBytes(12);
const AAD = countingBytes(20);
const ID = countingBytes(32);
const SRC = countingBytes(100);
const PREFIX = countingBytes(5);

/** Runs a call that must fail, and looks that its output stayed as it was. */
function refuses(code: string, dst: Uint8Array, call: (dst: Uint8Array) => number): void {
  const before = dst.slice();
  expect(codeOf(call(dst))).toBe(code);
  expect(Buffer.compare(dst.slice(), before)).toBe(0);
}

/** ES2024, which Node 20 has. */
const Resizable = ArrayBuffer as unknown as new (
  bytes: number,
  options: { readonly maxByteLength: number },
) => ArrayBuffer & { resize(bytes: number): void };

/** An array whose memory was transferred away. */
function detached(bytes: number): Uint8Array {
  const array = new Uint8Array(bytes);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

const fresh = (bytes: number) => new Uint8Array(bytes).fill(0xee);

describeNative("arguments of the addon", () => {
  const key = kernels.length === 0 ? 0 : sealingKey(countingBytes(32), 0);
  const seal = (nonce: unknown, aad: unknown, src: unknown, dst: unknown) =>
    addon.seal(key, nonce as Uint8Array, aad as Uint8Array, src as Uint8Array, dst as Uint8Array);
  const open = (nonce: unknown, aad: unknown, src: unknown, dst: unknown, tag?: unknown) =>
    addon.open(key, nonce as Uint8Array, aad as Uint8Array, src as Uint8Array, dst as Uint8Array, tag as Uint8Array);

  test.each([
    ["nothing", undefined],
    ["null", null],
    ["text", "0123456789ab"],
    ["an object", { length: 12 }],
    ["an array", [1, 2, 3]],
    ["an ArrayBuffer", new ArrayBuffer(12)],
    ["a DataView", new DataView(new ArrayBuffer(12))],
    ["a Uint16Array", new Uint16Array(12)],
    ["an Int8Array", new Int8Array(12)],
    ["a Float64Array", new Float64Array(12)],
    ["a number", 12],
  ])("takes no %s for bytes", (_what, wrong) => {
    for (const at of [0, 1, 2, 3]) {
      const given: unknown[] = [NONCE, AAD, SRC, fresh(116)];
      given[at] = wrong;
      expect(codeOf(seal(given[0], given[1], given[2], given[3]))).toBe("ERR_INPUT");
      expect(codeOf(open(given[0], given[1], given[2], given[3]))).toBe("ERR_INPUT");
    }
  });

  test.each([
    ["nothing", undefined],
    ["text", "1"],
    ["NaN", Number.NaN],
    ["infinity", Number.POSITIVE_INFINITY],
    ["a negative number", -1],
    ["a fraction", 0.5],
    ["a bigint", 1n],
    ["more than 2^53", 2 ** 60],
    ["an array", NONCE],
  ])("takes no %s for a number", (_what, wrong) => {
    const number = wrong as number;
    expect(codeOf(addon.seal(number, NONCE, AAD, SRC, fresh(116)))).toBe("ERR_INPUT");
    const arena = fresh(400);
    for (const at of [0, 1, 2, 3, 4, 5]) {
      const numbers = [0, 12, 20, 40, 100, 200];
      numbers[at] = number;
      const [a, b, c, d, e, f] = numbers as [number, number, number, number, number, number];
      refuses("ERR_INPUT", arena, () => addon.sealAt(key, arena, a, b, c, d, e, f));
      refuses("ERR_INPUT", arena, () => addon.openAt(key, arena, a, b, c, d, e, f));
    }
    refuses("ERR_INPUT", fresh(300), (dst) => addon.sealFrames(key, ID, number, 1, 1, 0, SRC, dst));
    refuses("ERR_INPUT", fresh(300), (dst) => addon.sealFrames(key, ID, 50, number, 1, 0, SRC, dst));
    refuses("ERR_INPUT", fresh(300), (dst) => addon.sealFrames(key, ID, 50, 1, number, 0, SRC, dst));
  });

  test("takes no calls without arguments", () => {
    const bare = addon as unknown as Record<string, () => number>;
    const names = Object.keys(addon).filter(
      (name) => typeof bare[name] === "function" && !["info", "selfTest"].includes(name),
    );
    expect(names.length).toBeGreaterThan(15);
    for (const name of names) expect([name, codeOf(bare[name]?.() as number)]).toEqual([name, "ERR_INPUT"]);
  });

  test("an output that is too small stays as it is", () => {
    refuses("ERR_OUTPUT_TOO_SMALL", fresh(115), (dst) => seal(NONCE, AAD, SRC, dst));
    refuses("ERR_OUTPUT_TOO_SMALL", EMPTY, (dst) => seal(NONCE, AAD, EMPTY, dst));
    refuses("ERR_OUTPUT_TOO_SMALL", fresh(83), (dst) => open(NONCE, AAD, SRC, dst));
    refuses("ERR_OUTPUT_TOO_SMALL", fresh(99), (dst) => open(NONCE, AAD, SRC, dst, new Uint8Array(16)));
    refuses("ERR_OUTPUT_TOO_SMALL", fresh(15), (dst) => addon.sealHeader(key, NONCE, AAD, dst));
    refuses("ERR_OUTPUT_TOO_SMALL", fresh(99), (dst) => addon.ctr(key, NONCE, SRC, dst));
    refuses("ERR_OUTPUT_TOO_SMALL", fresh(203), (dst) => addon.sealFrames(key, ID, 50, 1, 2, 0, SRC, dst));
    refuses("ERR_OUTPUT_TOO_SMALL", fresh(49), (dst) => addon.openFrames(key, ID, 50, 1, 1, undefined, SRC, dst));
  });

  test("an output too large is written in its front only", () => {
    const dst = fresh(130);
    expect(seal(NONCE, AAD, SRC, dst)).toBe(0);
    expect([...dst.subarray(116)]).toEqual(Array(14).fill(0xee));
    const opened = fresh(130);
    expect(open(NONCE, AAD, dst.subarray(0, 116), opened)).toBe(1);
    expect([...opened.subarray(100)]).toEqual(Array(30).fill(0xee));
    expect(open(NONCE, EMPTY, dst.subarray(0, 116), opened)).toBe(0);
    expect([...opened.subarray(100)]).toEqual(Array(30).fill(0xee));
  });

  test("an output that overlaps an input stays as it is", () => {
    const memory = fresh(600);
    const part = (at: number, bytes: number) => memory.subarray(at, at + bytes);
    refuses("ERR_OVERLAP", memory, () => seal(NONCE, AAD, part(1, 100), part(0, 116)));
    refuses("ERR_OVERLAP", memory, () => seal(NONCE, AAD, part(0, 100), part(99, 116)));
    refuses("ERR_OVERLAP", memory, () => seal(part(115, 12), AAD, SRC, part(0, 116)));
    refuses("ERR_OVERLAP", memory, () => seal(NONCE, part(115, 12), SRC, part(0, 116)));
    refuses("ERR_OVERLAP", memory, () => open(NONCE, AAD, part(0, 116), part(1, 100)));
    refuses("ERR_OVERLAP", memory, () => open(NONCE, AAD, SRC, part(0, 100), part(99, 16)));
    refuses("ERR_OVERLAP", memory, () => open(part(50, 12), AAD, SRC, part(0, 100)));
    refuses("ERR_OVERLAP", memory, () => addon.ctr(key, NONCE, part(0, 100), part(50, 100)));
    refuses("ERR_OVERLAP", memory, () => addon.sealHeader(key, part(0, 12), AAD, part(4, 16)));
    refuses("ERR_OVERLAP", memory, () => addon.sealAt(key, memory, 0, 12, 20, 32, 100, 40));
    refuses("ERR_OVERLAP", memory, () => addon.sealAt(key, memory, 50, 12, 20, 200, 100, 40));
    refuses("ERR_OVERLAP", memory, () => addon.openAt(key, memory, 0, 12, 20, 32, 100, 31));
    refuses("ERR_OVERLAP", memory, () => addon.openAt(key, memory, 0, 12, 20, 32, 100, 147));
    refuses("ERR_OVERLAP", memory, () => addon.sealFrames(key, ID, 50, 1, 2, 0, part(0, 100), part(0, 250)));
    refuses("ERR_OVERLAP", memory, () => addon.sealFrames(key, part(0, 32), 50, 1, 2, 0, SRC, part(10, 250)));
    refuses("ERR_OVERLAP", memory, () => addon.openFrames(key, ID, 50, 1, 1, undefined, part(0, 82), part(1, 50)));
    refuses("ERR_OVERLAP", memory, () => addon.openFrames(key, part(0, 32), 50, 1, 1, undefined, SRC, part(8, 50)));
  });

  test("a detached array is refused", () => {
    for (const at of [0, 1, 2, 3]) {
      const given: Uint8Array[] = [NONCE, AAD, SRC, fresh(116)];
      given[at] = detached(116);
      expect([at, codeOf(seal(given[0], given[1], given[2], given[3]))]).toEqual([at, "ERR_INPUT"]);
    }
    const answer = addon.sealFrames(key, ID, 50, 1, 2, 0, SRC, detached(300));
    expect(addon.errors[-1 - answer]?.message).toMatch(/detached/);
  });

  test("arrays over memory that shrinks are taken at the length they have", () => {
    const memory = new Resizable(200, { maxByteLength: 400 });
    const view = new Uint8Array(memory);
    expect(seal(NONCE, AAD, SRC, view)).toBe(0);
    memory.resize(100);
    refuses("ERR_OUTPUT_TOO_SMALL", view, (dst) => seal(NONCE, AAD, SRC, dst));
    const fixed = new Uint8Array(memory, 50, 40);
    memory.resize(60);
    expect(fixed.length).toBe(0);
    expect(codeOf(seal(NONCE, AAD, EMPTY, fixed))).toBe("ERR_OUTPUT_TOO_SMALL");
  });

  test("nonces: not empty; 12 bytes for records and CTR", () => {
    refuses("ERR_INPUT", fresh(116), (dst) => seal(EMPTY, AAD, SRC, dst));
    refuses("ERR_INPUT", fresh(100), (dst) => open(EMPTY, AAD, SRC, dst));
    refuses("ERR_INPUT", fresh(100), (dst) => addon.ctr(key, countingBytes(13), SRC, dst));
    refuses("ERR_INPUT", fresh(16), (dst) => addon.sealHeader(key, EMPTY, AAD, dst));
    const offsets = Uint32Array.of(0, 100);
    for (const bytes of [0, 11, 13, 24]) {
      refuses("ERR_INPUT", fresh(200), (dst) =>
        addon.sealRecords(
          key,
          0,
          PREFIX,
          countingBytes(bytes),
          SRC,
          offsets,
          undefined,
          undefined,
          dst,
          offsets.slice(),
        ),
      );
    }
  });

  test("a tag has 16 bytes", () => {
    for (const bytes of [0, 12, 15, 17, 32]) {
      refuses("ERR_INPUT", fresh(100), (dst) => open(NONCE, AAD, SRC, dst, countingBytes(bytes)));
      expect(codeOf(addon.openHeader(key, NONCE, AAD, countingBytes(bytes)))).toBe("ERR_INPUT");
    }
    for (const bytes of [0, 15]) refuses("ERR_INPUT", fresh(100), (dst) => open(NONCE, AAD, countingBytes(bytes), dst));
  });

  test("parts of an arena lie within it, up to offsets of 2^53", () => {
    const arena = fresh(400);
    const huge = [401, 2 ** 31, 2 ** 32, 2 ** 32 + 12, 2 ** 40, Number.MAX_SAFE_INTEGER];
    for (const at of huge) {
      refuses("ERR_INPUT", arena, () => addon.sealAt(key, arena, at, 12, 20, 32, 100, 200));
      refuses("ERR_INPUT", arena, () => addon.sealAt(key, arena, 0, at, 20, 32, 100, 200));
      refuses("ERR_INPUT", arena, () => addon.sealAt(key, arena, 0, 12, at, 32, 100, 200));
      refuses("ERR_INPUT", arena, () => addon.sealAt(key, arena, 0, 12, 20, at, 100, 200));
      refuses("ERR_INPUT", arena, () => addon.sealAt(key, arena, 0, 12, 20, 32, at, 200));
      refuses("ERR_OUTPUT_TOO_SMALL", arena, () => addon.sealAt(key, arena, 0, 12, 20, 32, 100, at));
      refuses("ERR_INPUT", arena, () => addon.openAt(key, arena, 0, 12, 20, at, 100, 200));
      refuses("ERR_OUTPUT_TOO_SMALL", arena, () => addon.openAt(key, arena, 0, 12, 20, 32, 100, at));
    }
    refuses("ERR_INPUT", arena, () => addon.sealAt(key, arena, 389, 12, 20, 32, 100, 200));
    refuses("ERR_OUTPUT_TOO_SMALL", arena, () => addon.sealAt(key, arena, 0, 12, 20, 32, 100, 285));
    refuses("ERR_INPUT", arena, () => addon.openAt(key, arena, 0, 12, 20, 285, 100, 0));
    refuses("ERR_OUTPUT_TOO_SMALL", arena, () => addon.openAt(key, arena, 0, 12, 20, 32, 100, 301));
  });

  test("frames: ids of 16 or 32 bytes, numbers that fit, no overflow", () => {
    for (const bytes of [0, 15, 17, 31, 33]) {
      refuses("ERR_INPUT", fresh(300), (dst) => addon.sealFrames(key, countingBytes(bytes), 50, 1, 2, 0, SRC, dst));
    }
    refuses("ERR_INPUT", fresh(300), (dst) => addon.sealFrames(key, ID, 0, 1, 2, 0, SRC, dst));
    refuses("ERR_INPUT", fresh(300), (dst) => addon.sealFrames(key, ID, 50, 0, 2, 0, SRC, dst));
    refuses("ERR_INPUT", fresh(300), (dst) => addon.sealFrames(key, ID, 50, 1, 1, 51, SRC, dst));
    refuses("ERR_INPUT", fresh(300), (dst) => addon.sealFrames(key, ID, 50, 2 ** 32 - 1, 2, 0, SRC, dst));
    refuses("ERR_INPUT", fresh(300), (dst) => addon.sealFrames(key, ID, 2 ** 32, 1, 2, 0, SRC, dst));
    refuses("ERR_INPUT", fresh(300), (dst) => addon.sealFrames(key, ID, 2 ** 32 - 1, 1, 2 ** 32 - 2, 0, SRC, dst));
    refuses("ERR_INPUT", fresh(300), (dst) => addon.openFrames(key, ID, 2 ** 32 - 1, 1, 2 ** 32 - 2, 0, SRC, dst));
    refuses("ERR_INPUT", fresh(300), (dst) => addon.sealFrames(key, ID, 51, 1, 2, 0, SRC, dst));
    refuses("ERR_INPUT", fresh(300), (dst) => addon.openFrames(key, ID, 50, 1, 2, 0, SRC, dst));
  });

  test("no plaintext of a wrong tag reaches shared memory, and none of it before the tag", () => {
    const sealed = new Uint8Array(116);
    expect(seal(NONCE, AAD, SRC, sealed)).toBe(0);
    const out = shared(fresh(100));
    expect(open(NONCE, AAD, shared(sealed), out)).toBe(1);
    expect([...out]).toEqual([...SRC]);
    sealed[115] = (sealed[115] as number) ^ 1;
    out.fill(0xee);
    expect(open(NONCE, AAD, sealed, out)).toBe(0);
    expect([...out]).toEqual(Array(100).fill(0));
  });
});

describeNative("records of the addon", () => {
  const key = kernels.length === 0 ? 0 : sealingKey(countingBytes(32), 0);
  const small = kernels.length === 0 ? 0 : sealingKey(countingBytes(16), 0);
  const offsets = Uint32Array.of(0, 10, 100);
  const nonces = countingBytes(24);
  const sealed = new Uint8Array(100 + 2 * 33);
  const sealedOffsets = new Uint32Array(3);
  const seal = (
    given: Partial<{ srcOffsets: unknown; aad: unknown; aadOffsets: unknown; dst: unknown; into: unknown }>,
  ) =>
    addon.sealRecords(
      key,
      0,
      PREFIX,
      nonces,
      SRC,
      ("srcOffsets" in given ? given.srcOffsets : offsets) as Uint32Array,
      given.aad as Uint8Array,
      given.aadOffsets as Uint32Array,
      (given.dst ?? sealed) as Uint8Array,
      (given.into ?? sealedOffsets) as Uint32Array,
    );

  test("seals the batch that the others spoil", () => {
    expect(seal({})).toBe(0);
    expect([...sealedOffsets]).toEqual([0, 43, 166]);
  });

  test.each([
    ["decrease", Uint32Array.of(10, 0, 100)],
    ["end behind the arena", Uint32Array.of(0, 10, 1000)],
    ["begin behind the arena", Uint32Array.of(1000, 1000, 1000)],
    ["reach 2^32 - 1", Uint32Array.of(0, 10, 0xffff_ffff)],
    ["are negative", Int32Array.of(0, 10, -1)],
    ["begin negative", Int32Array.of(-100, 10, 100)],
    ["are no numbers of 32 bits", new Float64Array([0, 10, 100])],
    ["are bytes", Uint8Array.of(0, 10, 100)],
    ["are an array", [0, 10, 100]],
    ["are null", null],
    ["are empty", new Uint32Array(0)],
    ["are detached", detachedOffsets()],
  ])("refuses offsets that %s", (_what, wrong) => {
    refuses("ERR_INPUT", fresh(166), (dst) => seal({ srcOffsets: wrong, dst }));
    refuses("ERR_INPUT", fresh(166), (dst) => seal({ aad: SRC, aadOffsets: wrong, dst }));
    const status = new Uint8Array(2);
    const into = new Uint32Array(3);
    refuses("ERR_INPUT", fresh(100), (dst) =>
      addon.openRecords(key, 0, PREFIX, sealed, wrong as Uint32Array, undefined, undefined, dst, into, status),
    );
  });

  test("refuses tables of other lengths", () => {
    refuses("ERR_INPUT", fresh(166), (dst) => seal({ aad: SRC, aadOffsets: Uint32Array.of(0, 1), dst }));
    refuses("ERR_INPUT", fresh(166), (dst) => seal({ into: new Uint32Array(2), dst }));
    refuses("ERR_INPUT", fresh(166), (dst) => seal({ into: new Uint32Array(4), dst }));
    const into = new Uint32Array(3);
    for (const count of [0, 1, 3]) {
      refuses("ERR_INPUT", fresh(100), (dst) =>
        addon.openRecords(
          key,
          0,
          PREFIX,
          sealed,
          sealedOffsets,
          undefined,
          undefined,
          dst,
          into,
          new Uint8Array(count),
        ),
      );
    }
  });

  test("refuses outputs that are too small or overlap", () => {
    refuses("ERR_OUTPUT_TOO_SMALL", fresh(165), (dst) => seal({ dst }));
    const memory = concat(SRC, fresh(400));
    refuses("ERR_OVERLAP", memory, () =>
      addon.sealRecords(
        key,
        0,
        PREFIX,
        nonces,
        memory.subarray(0, 100),
        offsets,
        undefined,
        undefined,
        memory.subarray(99),
        new Uint32Array(3),
      ),
    );
    refuses("ERR_OVERLAP", memory, () =>
      addon.sealRecords(
        key,
        0,
        PREFIX,
        memory.subarray(120, 144),
        SRC,
        offsets,
        undefined,
        undefined,
        memory,
        new Uint32Array(3),
      ),
    );
    const into = new Uint32Array(3);
    refuses("ERR_OUTPUT_TOO_SMALL", fresh(99), (dst) =>
      addon.openRecords(key, 0, PREFIX, sealed, sealedOffsets, undefined, undefined, dst, into, new Uint8Array(2)),
    );
  });

  test("a prefix has at most 16 bytes; a salt 8 to 12, and a key of 32", () => {
    const into = new Uint32Array(3);
    const xaes = (handle: KeyHandle, saltBytes: number, prefix = PREFIX) =>
      addon.sealRecords(
        handle,
        saltBytes,
        prefix,
        countingBytes(2 * (saltBytes + 12)),
        SRC,
        offsets,
        undefined,
        undefined,
        fresh(300),
        into,
      );
    expect(xaes(key, 0, countingBytes(16))).toBe(0);
    expect(codeOf(xaes(key, 0, countingBytes(17)))).toBe("ERR_INPUT");
    for (const saltBytes of [1, 7, 13, 2 ** 32])
      expect(
        codeOf(addon.sealRecords(key, saltBytes, PREFIX, nonces, SRC, offsets, undefined, undefined, fresh(300), into)),
      ).toBe("ERR_INPUT");
    for (const saltBytes of [8, 12]) {
      expect(xaes(key, saltBytes)).toBe(0);
      expect(codeOf(xaes(small, saltBytes))).toBe("ERR_INPUT");
    }
  });

  test("shared offsets are copied before they are believed", () => {
    const common = new Uint32Array(new SharedArrayBuffer(12));
    common.set(offsets);
    const into = new Uint32Array(new SharedArrayBuffer(12));
    expect(seal({ srcOffsets: common, into })).toBe(0);
    expect([...into]).toEqual([0, 43, 166]);
  });
});

describeNative("keys of the addon", () => {
  test("a raw key has 1 to 64 bytes, an AES key 16, 24 or 32", () => {
    for (const bytes of [0, 65, 1000]) expect(codeOf(addon.keyImport(countingBytes(bytes)))).toBe("ERR_INPUT");
    for (const bytes of [1, 15, 17, 31, 33, 64]) {
      const raw = importKey(countingBytes(bytes));
      expect(codeOf(addon.gcmKey(raw, 0))).toBe("ERR_INPUT");
      expect(addon.keyDispose(raw)).toBe(0);
    }
  });

  test("a kernel is named by its number", () => {
    const raw = importKey(countingBytes(32));
    for (const number of [addon.info().kernels.length, 99, 2 ** 40]) {
      expect(codeOf(addon.gcmKey(raw, number))).toBe("ERR_ENGINE_UNAVAILABLE");
      expect(codeOf(addon.messageKey(raw, number, 512, 32, ID, AAD, EMPTY, EMPTY))).toBe("ERR_ENGINE_UNAVAILABLE");
    }
    expect(addon.selfTest(99)).toMatch(/no such kernel/);
  });

  test("derives with SHA-256, SHA-384 and SHA-512 into keys of AES, and into room for a commitment", () => {
    const raw = importKey(countingBytes(32));
    const derive = (hash: number, bytes: number, commitInfo: Uint8Array, commitment: Uint8Array) =>
      codeOf(addon.messageKey(raw, 0, hash, bytes, ID, AAD, commitInfo, commitment));
    for (const hash of [256, 384, 512]) expect(derive(hash, 32, EMPTY, EMPTY)).toBeUndefined();
    for (const hash of [0, 1, 255, 1024]) expect(derive(hash, 32, EMPTY, EMPTY)).toBe("ERR_INPUT");
    for (const bytes of [0, 8, 33, 64]) expect(derive(512, bytes, EMPTY, EMPTY)).toBe("ERR_INPUT");
    expect(derive(512, 32, AAD, fresh(31))).toBe("ERR_OUTPUT_TOO_SMALL");
  });

  test("exports into an array that has room", () => {
    const raw = importKey(countingBytes(32));
    refuses("ERR_OUTPUT_TOO_SMALL", fresh(31), (dst) => addon.keyExport(raw, dst));
    const out = fresh(40);
    expect(addon.keyExport(raw, out)).toBe(32);
    expect([...out]).toEqual([...countingBytes(32), ...Array(8).fill(0xee)]);
  });
});

function detachedOffsets(): Uint32Array {
  const array = new Uint32Array(3);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}
