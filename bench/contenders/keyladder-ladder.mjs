/** The ladder's own operations: software token, SQLite store, both in a temporary folder that goes with the process. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLadder, softwareHsm, sqliteStore } from "../../dist/index.js";
import { CONTEXT } from "../harness/input.mjs";
import { offsetsOf, RECORD_OVERHEAD } from "../harness/record-loop.mjs";

/** @param {false | undefined} cache */
async function openTemporary(cache) {
  const folder = mkdtempSync(join(tmpdir(), "keyladder-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const ladder = await openLadder({
    hsm: softwareHsm({ file: join(folder, "token"), keyFile: join(folder, "token-key") }),
    store: sqliteStore({ file: join(folder, "store.db") }),
    create: "if-missing",
    ...(cache === false ? { cache } : {}),
  });
  await ladder.keys.create({ alias: "bench" });
  return ladder;
}

/** @param {import("../harness/measure.mjs").Case} case_ @param {Uint8Array} plaintext */
export async function ladderSubject({ options }, plaintext) {
  const ladder = await openTemporary(options?.cached === true ? undefined : false);
  if (options?.operation === "create") return { run: () => ladder.keys.create() };
  return {
    seal: () => ladder.encrypt(plaintext, { key: "bench", context: CONTEXT }),
    /** @param {Uint8Array} message */
    open: async (message) => (await ladder.decrypt(message)).plaintext,
  };
}

/**
 * `ladder.records`: nonces drawn, the quota counted, Tink's wire format, arenas kept.
 * @param {import("../harness/measure.mjs").Case} case_ @param {Uint8Array} plaintext
 */
export async function keysetSubject({ bytes, items = 1 }, plaintext) {
  const ladder = await openTemporary(undefined);
  const records = await ladder.records({ key: "bench", keyset: "bench", maxRecords: 2 ** 32 });
  const input = { bytes: plaintext, offsets: offsetsOf(items, bytes / items) };
  const sealed = { bytes: new Uint8Array(bytes + items * RECORD_OVERHEAD), offsets: new Uint32Array(items + 1) };
  const opened = { bytes: new Uint8Array(bytes), offsets: new Uint32Array(items + 1) };
  const sealedOffsets = offsetsOf(items, bytes / items + RECORD_OVERHEAD);
  return {
    alone: true,
    seal: () => records.sealArena(input, { out: sealed }).bytes,
    /** @param {Uint8Array} message */
    open: (message) => records.openArena({ bytes: message, offsets: sealedOffsets }, { out: opened }).bytes,
  };
}
