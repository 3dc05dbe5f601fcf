/** Random keysets and arenas: every engine opens what every other sealed, and node:crypto agrees on each record. */

import { createDecipheriv } from "node:crypto";
import { expect, it } from "vitest";
import { type Bytes, concat } from "../../src/bytes.js";
import { engineInfo, selectEngine } from "../../src/engine/select.js";
import { openCleartextRecords } from "../../src/envelope/open-records.js";
import type { Arena } from "../../src/envelope/record-arena.js";
import { encodeKeyset, type WritableKey } from "../../src/message/tink.js";
import { expectBytes, flipBit, SeededRandom, SLOW } from "../kit.js";

const RUNS = SLOW ? 5000 : 120;
const SEED = Number(process.env.SEED ?? 8128);
const engines = engineInfo()
  .candidates.filter(({ usable }) => usable)
  .map(({ name }) => selectEngine(name));

const random = new SeededRandom(SEED);

function anyKey(keyId: number): WritableKey {
  const pick = random.below(4);
  if (pick === 0)
    return { keyId, algorithm: { name: "xaes-256-gcm", saltBytes: 8 + random.below(5) }, key: random.bytes(32) };
  return { keyId, algorithm: { name: "aes-gcm" }, key: random.bytes(pick === 1 ? 16 : 32) };
}

/** Values back to back behind some other bytes, in memory of one kind or the other. */
function arena(values: readonly Uint8Array[]): Arena {
  const start = random.below(9);
  const length = values.reduce((sum, value) => sum + value.length, start) + random.below(9);
  const bytes = new Uint8Array(random.below(2) === 0 ? new ArrayBuffer(length) : new SharedArrayBuffer(length));
  const offsets = random.below(2) === 0 ? new Uint32Array(values.length + 1) : new Int32Array(values.length + 1);
  offsets[0] = start;
  values.forEach((value, i) => {
    bytes.set(value, offsets[i]);
    offsets[i + 1] = (offsets[i] as number) + value.length;
  });
  return { bytes, offsets };
}

const valueAt = ({ bytes, offsets }: Arena, i: number): Bytes =>
  new Uint8Array(bytes.slice(offsets[i], offsets[i + 1]));

it(`${RUNS} keysets (seed ${SEED})`, () => {
  for (let run = 0; run < RUNS; run++) {
    const keys = Array.from({ length: 1 + random.below(3) }, (_, i) => anyKey(1 + i + 10 * random.below(1000)));
    const primary = random.pick(keys);
    const keyset = encodeKeyset(primary.keyId, keys);
    const [sealing, opening] = [random.pick(engines), random.pick(engines)].map((engine) =>
      openCleartextRecords(keyset, 2 ** 32, engine),
    );
    if (sealing === undefined || opening === undefined) throw new Error("no engine");
    const most = random.pick([0, 1, 20, 70, 300]);
    const plaintexts = Array.from({ length: random.below(most + 1) }, () => random.bytes(random.below(most + 1)));
    const aads = random.below(2) === 0 ? undefined : plaintexts.map(() => random.bytes(random.below(40)));
    const aad = aads === undefined ? {} : { aad: arena(aads) };
    const sealed = sealing.sealArena(arena(plaintexts), aad);
    const opened = opening.openArena(sealed, aad);
    plaintexts.forEach((plaintext, i) => {
      expectBytes(valueAt(opened, i), plaintext);
    });

    if (plaintexts.length === 0) continue;
    const at = random.below(plaintexts.length);
    const record = valueAt(sealed, at);
    if (primary.algorithm.name === "aes-gcm") {
      const name = primary.key.length === 16 ? "aes-128-gcm" : "aes-256-gcm";
      const decipher = createDecipheriv(name, primary.key, record.subarray(5, 17)).setAuthTag(record.subarray(-16));
      if (aads !== undefined) decipher.setAAD(aads[at] as Uint8Array);
      expectBytes(concat(decipher.update(record.subarray(17, -16)), decipher.final()), plaintexts[at] as Uint8Array);
    }
    const spoiled = plaintexts.map((_, i) => valueAt(sealed, i));
    spoiled[at] = flipBit(record, random.below(8 * record.length));
    const failed: number[] = [];
    const rest = opening.openArena(arena(spoiled), { ...aad, failed });
    expect(failed).toEqual([at]);
    plaintexts.forEach((plaintext, i) => {
      expectBytes(valueAt(rest, i), i === at ? new Uint8Array(0) : plaintext);
    });
  }
});
