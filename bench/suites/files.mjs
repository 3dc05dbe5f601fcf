/** Files, by whole processes: from the start of the program to its end, the result on the disk. */

import { spawn } from "node:child_process";
import { createHash, randomFillSync } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { firstLine } from "../harness/machine.mjs";
import { OURS, rowsOf } from "../harness/measure.mjs";
import { GIB, MIB, sizeText } from "./sizes.mjs";

const CONVERT = fileURLToPath(new URL("../contenders/keyladder-file.mjs", import.meta.url));
const SLOWEST_ROUNDS = 5;

/**
 * @typedef {{ seal: readonly string[], open: readonly string[] }} Program command lines; SRC and DST stand for the files
 */

/** @param {string} folder @returns {Promise<Record<string, Program>>} */
async function programs(folder) {
  const copy = ["sh", "-c", 'cp "$1" "$2" && sync "$2"', "cp", "SRC", "DST"];
  /** @type {Record<string, Program>} */
  const found = {
    [OURS]: {
      seal: [process.execPath, CONVERT, "encrypt", "SRC", "DST"],
      open: [process.execPath, CONVERT, "decrypt", "SRC", "DST"],
    },
    "cp + sync": { seal: copy, open: copy },
  };
  const identity = join(folder, "identity");
  if (firstLine("age-keygen", ["-o", identity]) === undefined) {
    console.error("bench: SKIPPED age: it is not here");
    return found;
  }
  const recipient = firstLine("age-keygen", ["-y", identity]) ?? "";
  const seal = ["age", "-r", recipient, "-o", "DST", "SRC"];
  return { ...found, age: { seal, open: ["age", "-d", "-i", identity, "-o", "DST", "SRC"] } };
}

/** @param {readonly string[]} command @param {string} src @param {string} dst */
async function timed(command, src, dst) {
  const [program = "", ...args] = command.map((word) => (word === "SRC" ? src : word === "DST" ? dst : word));
  const started = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (/** @type {Buffer} */ chunk) => {
    said += chunk;
  });
  const status = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  const ms = performance.now() - started;
  if (status !== 0) throw new Error(`${program} ended with ${status}`);
  return { ms, said };
}

/** @param {string} file */
async function digestOf(file) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file, { highWaterMark: MIB }), hash);
  return hash.digest("hex");
}

/** @param {string} file @param {number} bytes */
async function fill(file, bytes) {
  const handle = await open(file, "w");
  const chunk = new Uint8Array(16 * MIB);
  for (let written = 0; written < bytes; written += chunk.length) await handle.write(randomFillSync(chunk));
  await handle.sync();
  await handle.close();
}

/** What one program leaves dirty must not be the next one's to write. @param {string} file */
async function settle(file) {
  const handle = await open(file, "r");
  await handle.sync();
  await handle.close();
}

/** @param {{ rounds: number, roundMs: number }} effort @param {string} only */
async function runFiles(effort, only) {
  const bytes = effort.rounds < SLOWEST_ROUNDS ? GIB / 4 : GIB;
  const rounds = Math.min(effort.rounds, SLOWEST_ROUNDS);
  const folder = await mkdtemp(join(tmpdir(), "keyladder-bench-"));
  const rows = [];
  try {
    const all = await programs(folder);
    const names = Object.keys(all);
    const plain = join(folder, "plain");
    const output = join(folder, "output");
    await fill(plain, bytes);
    const expected = await digestOf(plain);
    for (const [name, { seal, open: opening }] of Object.entries(all)) {
      await timed(seal, plain, join(folder, name));
      await timed(opening, join(folder, name), output);
      if ((await digestOf(output)) !== expected) throw new Error(`${name} did not give the file back`);
      await rm(output);
    }
    for (const [verb, direction] of /** @type {const} */ ([
      ["encrypt", "seal"],
      ["decrypt", "open"],
    ])) {
      const case_ = { suite: "files", name: `${verb} a file of ${sizeText(bytes)}`, kind: "files", direction, bytes };
      if (!case_.name.includes(only)) continue;
      /** @type {Map<string, number[]>} */
      const times = new Map(names.map((name) => [name, []]));
      let peakRssMb = 0;
      for (let round = 0; round < rounds; round++) {
        for (const name of round % 2 === 0 ? names : [...names].reverse()) {
          const src = direction === "seal" ? plain : join(folder, name);
          const { ms, said } = await timed(all[name]?.[direction] ?? [], src, output);
          times.get(name)?.push(ms);
          if (name === OURS) peakRssMb = Math.max(peakRssMb, JSON.parse(said).peakRssMb);
          await settle(output);
          await rm(output);
        }
      }
      const measured = rowsOf(case_, times);
      rows.push(...measured.map((row) => (row.contender === OURS ? { ...row, peakRssMb } : row)));
      console.error(
        `${case_.name}: ${measured.map((row) => `${row.contender} ${row.medianMs.toFixed(0)} ms`).join(", ")}`,
      );
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
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
