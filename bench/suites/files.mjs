/** Files, by whole processes: from the start of the program to its end, the result on the disk. */

import { randomFillSync } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { firstLine } from "../harness/machine.mjs";
import { OURS, rowsOf } from "../harness/measure.mjs";
import { digestOf, inTemporaryFolder, interleaved, settleAndRemove, timed } from "../harness/processes.mjs";
import { GIB, MIB, sizeText } from "./sizes.mjs";

const CONVERT = fileURLToPath(new URL("../contenders/keyladder-file.mjs", import.meta.url));
const MOST_ROUNDS = 5;

/**
 * @typedef {(src: string, dst: string) => readonly string[]} Command
 * @typedef {{ seal: Command, open: Command }} Program
 */

/** @param {string} folder @returns {Record<string, Program>} */
function programs(folder) {
  /** @type {Command} */
  const copy = (src, dst) => ["sh", "-c", 'cp "$1" "$2" && sync "$2"', "cp", src, dst];
  /** @type {Record<string, Program>} */
  const found = {
    [OURS]: {
      seal: (src, dst) => [process.execPath, CONVERT, "encrypt", src, dst],
      open: (src, dst) => [process.execPath, CONVERT, "decrypt", src, dst],
    },
    "cp + sync": { seal: copy, open: copy },
  };
  const identity = join(folder, "identity");
  if (firstLine("age-keygen", ["-o", identity]) === undefined) {
    console.error("bench: SKIPPED age: it is not here");
    return found;
  }
  const recipient = firstLine("age-keygen", ["-y", identity]) ?? "";
  found.age = {
    seal: (src, dst) => ["age", "-r", recipient, "-o", dst, src],
    open: (src, dst) => ["age", "-d", "-i", identity, "-o", dst, src],
  };
  return found;
}

/** @param {string} file @param {number} bytes */
async function fill(file, bytes) {
  const handle = await open(file, "w");
  const chunk = new Uint8Array(16 * MIB);
  for (let written = 0; written < bytes; written += chunk.length) await handle.write(randomFillSync(chunk));
  await handle.sync();
  await handle.close();
}

/** @param {{ rounds: number, roundMs: number }} effort @param {string} only */
async function runFiles(effort, only) {
  const bytes = effort.rounds < MOST_ROUNDS ? GIB / 4 : GIB;
  const rounds = Math.min(effort.rounds, MOST_ROUNDS);
  const rows = await inTemporaryFolder(async (folder) => {
    const all = programs(folder);
    const plain = join(folder, "plain");
    const output = join(folder, "output");
    await fill(plain, bytes);
    const expected = await digestOf(plain);
    for (const [name, { seal, open: opening }] of Object.entries(all)) {
      await timed(seal(plain, join(folder, name)));
      await timed(opening(join(folder, name), output));
      if ((await digestOf(output)) !== expected) throw new Error(`${name} did not give the file back`);
      await rm(output);
    }
    const measured = [];
    for (const [verb, direction] of /** @type {const} */ ([
      ["encrypt", "seal"],
      ["decrypt", "open"],
    ])) {
      const case_ = { suite: "files", name: `${verb} a file of ${sizeText(bytes)}`, kind: "files", direction, bytes };
      if (!case_.name.includes(only)) continue;
      let peakRssMb = 0;
      const times = await interleaved(Object.keys(all), rounds, async (name) => {
        const src = direction === "seal" ? plain : join(folder, name);
        const { ms, said } = await timed(/** @type {Program} */ (all[name])[direction](src, output));
        if (name === OURS) peakRssMb = Math.max(peakRssMb, JSON.parse(said).peakRssMb);
        await settleAndRemove(output);
        return ms;
      });
      const own = rowsOf(case_, times);
      measured.push(...own.map((row) => (row.base ? { ...row, peakRssMb } : row)));
      console.error(`${case_.name}: ${own.map((row) => `${row.contender} ${row.medianMs.toFixed(0)} ms`).join(", ")}`);
    }
    return measured;
  });
  return { rows, versions: { age: firstLine("age", ["--version"]), "cp + sync": firstLine("cp", ["--version"]) } };
}

export const SUITES = [
  {
    name: "files",
    title: "Files",
    about: "Whole processes, start to end. Ours and cp leave the result on the disk; age does not wait for it.",
    run: runFiles,
  },
];
