import { createCipheriv } from "node:crypto";
import { describe, expect, it } from "vitest";
import { concat } from "../../../src/bytes.js";
import { DataKey } from "../../../src/engine/data-key.js";
import type { OpenRecords, RecordAlgorithm, RecordKey, SealRecords } from "../../../src/engine/port.js";
import { engineInfo, selectEngine } from "../../../src/engine/select.js";
import { expectBytes, expectCode, flipBit, SeededRandom } from "../../kit.js";

const engines = engineInfo()
  .candidates.filter(({ usable }) => usable)
  .map(({ name }) => name);
const GCM = { name: "aes-gcm" } as const;
const ALGORITHMS: readonly { title: string; algorithm: RecordAlgorithm; keyBytes: number }[] = [
  { title: "AES-128-GCM", algorithm: GCM, keyBytes: 16 },
  { title: "AES-192-GCM", algorithm: GCM, keyBytes: 24 },
  { title: "AES-256-GCM", algorithm: GCM, keyBytes: 32 },
  { title: "XAES-256-GCM, salt 12", algorithm: { name: "xaes-256-gcm", saltBytes: 12 }, keyBytes: 32 },
  { title: "XAES-256-GCM, salt 8", algorithm: { name: "xaes-256-gcm", saltBytes: 8 }, keyBytes: 32 },
];
const PREFIX = Uint8Array.of(1, 0xaa, 0xbb, 0xcc, 0xdd);
const TAG = 16;
const overheadOf = (key: RecordKey) => PREFIX.length + key.nonceBytes + TAG;

/** Values back to back, from `start`. */
function arena(values: readonly Uint8Array[], start = 0) {
  const bytes = concat(new Uint8Array(start), ...values);
  const offsets = new Uint32Array(values.length + 1);
  let at = start;
  values.forEach((value, i) => {
    offsets[i] = at;
    at += value.length;
  });
  offsets[values.length] = at;
  return { bytes, offsets };
}

function values(bytes: Uint8Array, offsets: Uint32Array | Int32Array): Uint8Array[] {
  return Array.from({ length: offsets.length - 1 }, (_, i) => bytes.slice(offsets[i], offsets[i + 1]));
}

function sealBatch(
  key: RecordKey,
  plaintexts: readonly Uint8Array[],
  aads?: readonly Uint8Array[],
  random = new SeededRandom(7),
): SealRecords {
  const { bytes, offsets } = arena(plaintexts, 3);
  const total = plaintexts.reduce((sum, { length }) => sum + length + overheadOf(key), 0);
  return {
    prefix: PREFIX,
    src: bytes,
    srcOffsets: offsets,
    aad: aads === undefined ? undefined : arena(aads, 1),
    nonces: random.bytes(plaintexts.length * key.nonceBytes),
    dst: new Uint8Array(total),
    dstOffsets: new Uint32Array(plaintexts.length + 1),
  };
}

function openBatch(key: RecordKey, records: readonly Uint8Array[], aads?: readonly Uint8Array[]): OpenRecords {
  const { bytes, offsets } = arena(records, 2);
  return {
    prefix: PREFIX,
    src: bytes,
    srcOffsets: offsets,
    aad: aads === undefined ? undefined : arena(aads),
    dst: new Uint8Array(records.reduce((sum, { length }) => sum + Math.max(0, length - overheadOf(key)), 0)),
    dstOffsets: new Uint32Array(records.length + 1),
    status: new Uint8Array(records.length),
  };
}

const sealed = (key: RecordKey, plaintexts: readonly Uint8Array[], aads?: readonly Uint8Array[]): Uint8Array[] => {
  const batch = sealBatch(key, plaintexts, aads);
  key.sealRecords(batch);
  return values(batch.dst, batch.dstOffsets);
};

describe.each(engines)("records, engine %s", (name) => {
  const engine = selectEngine(name);
  const random = new SeededRandom(41);

  describe.each(ALGORITHMS)("$title", ({ algorithm, keyBytes }) => {
    const raw = random.bytes(keyBytes);
    const recordKey = () => {
      const dataKey = DataKey.fromBytes(raw.slice());
      const key = engine.recordKey(dataKey, algorithm);
      dataKey[Symbol.dispose]();
      return key;
    };

    it.each([false, true])("opens what it sealed, every length from 0 to 130 (aad: %s)", (withAad) => {
      const key = recordKey();
      const plaintexts = Array.from({ length: 131 }, (_, i) => random.bytes(i));
      const aads = withAad ? plaintexts.map((_, i) => random.bytes((i * 7) % 40)) : undefined;
      const records = sealed(key, plaintexts, aads);
      const batch = openBatch(key, records, aads);
      expect(key.openRecords(batch)).toBe(0);
      expectBytes(batch.dst, concat(...plaintexts));
      expect([...batch.status].every((status) => status === 0)).toBe(true);
      expect([...batch.dstOffsets]).toEqual([...arena(plaintexts).offsets]);
    });

    it("lays a record out as prefix, nonce, ciphertext, tag", () => {
      const key = recordKey();
      const batch = sealBatch(key, [random.bytes(20), random.bytes(0)]);
      key.sealRecords(batch);
      const records = values(batch.dst, batch.dstOffsets);
      records.forEach((record, i) => {
        expectBytes(record.subarray(0, 5), PREFIX);
        expectBytes(
          record.subarray(5, 5 + key.nonceBytes),
          batch.nonces.subarray(i * key.nonceBytes, (i + 1) * key.nonceBytes),
        );
      });
      expect(records.map(({ length }) => length)).toEqual([20 + 5 + key.nonceBytes + 16, 5 + key.nonceBytes + 16]);
    });

    it("one bad record is left empty and named; the others open", () => {
      const key = recordKey();
      const plaintexts = Array.from({ length: 40 }, (_, i) => random.bytes(i));
      const records = sealed(key, plaintexts);
      const [a, b, c, d] = [3, 8, 21, 39];
      records[a] = flipBit(records[a] as Uint8Array, 8 * (5 + key.nonceBytes) + 1);
      records[b] = flipBit(records[b] as Uint8Array, 8);
      records[c] = (records[c] as Uint8Array).slice(0, 5 + key.nonceBytes + 15);
      records[d] = (records[d] as Uint8Array).slice(0, -1);
      const batch = openBatch(key, records);
      expect(key.openRecords(batch)).toBe(4);
      expect([a, b, c, d].map((i) => batch.status[i])).toEqual([1, 2, 3, 1]);
      const opened = values(batch.dst, batch.dstOffsets);
      plaintexts.forEach((plaintext, i) => {
        expectBytes(opened[i] as Uint8Array, [a, b, c, d].includes(i) ? new Uint8Array(0) : plaintext);
      });
    });

    it("the associated data is part of what is authentic", () => {
      const key = recordKey();
      const records = sealed(key, [random.bytes(9)], [Uint8Array.of(1, 2)]);
      for (const aads of [undefined, [Uint8Array.of(1, 3)], [new Uint8Array(0)]]) {
        expect(key.openRecords(openBatch(key, records, aads))).toBe(1);
      }
      expect(key.openRecords(openBatch(key, records, [Uint8Array.of(1, 2)]))).toBe(0);
    });

    it("a wiped key is closed", async () => {
      const key = recordKey();
      key.wipe();
      key.wipe();
      await expectCode(() => key.sealRecords(sealBatch(key, [random.bytes(1)])), "ERR_CLOSED");
      await expectCode(() => key.openRecords(openBatch(key, [random.bytes(40)])), "ERR_CLOSED");
    });
  });

  it("agrees with one cipher call (SP 800-38D)", () => {
    const raw = random.bytes(32);
    const key = engine.recordKey(DataKey.fromBytes(raw.slice()), GCM);
    const batch = sealBatch(key, [random.bytes(77)], [random.bytes(21)]);
    key.sealRecords(batch);
    const cipher = createCipheriv("aes-256-gcm", raw, batch.nonces);
    cipher.setAAD((batch.aad as { bytes: Uint8Array }).bytes.subarray(1));
    const ciphertext = concat(cipher.update(batch.src.subarray(3)), cipher.final());
    expectBytes(batch.dst, concat(PREFIX, batch.nonces, ciphertext, cipher.getAuthTag()));
  });

  it("takes inputs in shared memory", () => {
    const key = engine.recordKey(DataKey.fromBytes(random.bytes(32)), GCM);
    const shared = (bytes: Uint8Array) => {
      const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
      copy.set(bytes);
      return copy;
    };
    const batch = sealBatch(key, [random.bytes(10), random.bytes(70)]);
    const offsets = new Uint32Array(new SharedArrayBuffer(12));
    offsets.set(batch.srcOffsets);
    const there = {
      ...batch,
      src: shared(batch.src),
      srcOffsets: offsets,
      dst: shared(batch.dst),
      dstOffsets: new Int32Array(3),
    };
    key.sealRecords(batch);
    key.sealRecords(there);
    expectBytes(there.dst, batch.dst);
    expect([...there.dstOffsets]).toEqual([...batch.dstOffsets]);
  });

  describe("refuses", () => {
    const key = engine.recordKey(DataKey.fromBytes(random.bytes(32)), GCM);
    const good = () => sealBatch(key, [random.bytes(5), random.bytes(6)], [random.bytes(1), random.bytes(2)]);
    const bad: Record<
      string,
      [(batch: SealRecords) => Partial<SealRecords>, "ERR_INPUT" | "ERR_OUTPUT_TOO_SMALL" | "ERR_OVERLAP"]
    > = {
      "no offset at all": [() => ({ srcOffsets: new Uint32Array(0), dstOffsets: new Uint32Array(0) }), "ERR_INPUT"],
      "offsets that decrease": [() => ({ srcOffsets: Uint32Array.of(3, 9, 8) }), "ERR_INPUT"],
      "offsets below 0": [() => ({ srcOffsets: Int32Array.of(-1, 3, 8) }), "ERR_INPUT"],
      "offsets behind the bytes": [() => ({ srcOffsets: Uint32Array.of(3, 8, 15) }), "ERR_INPUT"],
      "associated data for other records": [
        ({ aad }) => ({ aad: { bytes: aad?.bytes as Uint8Array, offsets: Uint32Array.of(0, 1) } }),
        "ERR_INPUT",
      ],
      "associated data behind its bytes": [
        ({ aad }) => ({ aad: { bytes: aad?.bytes as Uint8Array, offsets: Uint32Array.of(0, 1, 9) } }),
        "ERR_INPUT",
      ],
      "output offsets for other records": [() => ({ dstOffsets: new Uint32Array(2) }), "ERR_INPUT"],
      "too few nonces": [({ nonces }) => ({ nonces: nonces.subarray(1) }), "ERR_INPUT"],
      "a prefix of 17 bytes": [() => ({ prefix: new Uint8Array(17), dst: new Uint8Array(200) }), "ERR_INPUT"],
      "an output too small": [({ dst }) => ({ dst: dst.subarray(1) }), "ERR_OUTPUT_TOO_SMALL"],
      "an output over the input": [({ dst }) => ({ src: dst }), "ERR_OVERLAP"],
      "an output over the nonces": [({ dst, nonces }) => ({ nonces: dst.subarray(0, nonces.length) }), "ERR_OVERLAP"],
    };
    it.each(Object.keys(bad))("%s", async (what) => {
      const [change, code] = bad[what] as (typeof bad)[string];
      const batch = good();
      await expectCode(() => key.sealRecords({ ...batch, ...change(batch) }), code);
    });

    it("a status of another length, and an output too small to open into", async () => {
      const batch = openBatch(key, sealed(key, [random.bytes(5)]));
      await expectCode(() => key.openRecords({ ...batch, status: new Uint8Array(2) }), "ERR_INPUT");
      const error = await expectCode(
        () => key.openRecords({ ...batch, dst: new Uint8Array(4) }),
        "ERR_OUTPUT_TOO_SMALL",
      );
      expect(error.neededBytes).toBe(5);
    });

    it("keys and salts that XAES-256-GCM does not take", async () => {
      const xaes = (bytes: number, saltBytes: number) => () =>
        engine.recordKey(DataKey.fromBytes(random.bytes(bytes)), { name: "xaes-256-gcm", saltBytes });
      for (const [bytes, salt] of [
        [16, 12],
        [24, 12],
        [32, 7],
        [32, 13],
        [32, 8.5],
      ] as const) {
        await expectCode(xaes(bytes, salt), "ERR_INPUT");
      }
    });
  });
});
