/** The ladder's own operations: software token, SQLite store, both in a temporary folder that goes with the process. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLadder, softwareHsm, sqliteStore } from "../../dist/index.js";
import { CONTEXT } from "../harness/input.mjs";

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
