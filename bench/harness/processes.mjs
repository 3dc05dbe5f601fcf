/** Whole programs as contenders: from their start to their end, in a temporary folder. */

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

/** @template T @param {(folder: string) => Promise<T>} work */
export async function inTemporaryFolder(work) {
  const folder = await mkdtemp(join(tmpdir(), "keyladder-bench-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * @param {readonly string[]} command
 * @param {Readonly<Record<string, string>>} [env] besides this process's own
 * @returns how long it took, and what it said
 */
export async function timed([program = "", ...args], env = {}) {
  const started = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...env } });
  let said = "";
  child.stdout.on("data", (/** @type {Buffer} */ chunk) => {
    said += chunk;
  });
  const status = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  const ms = performance.now() - started;
  if (status !== 0) throw new Error(`${program} ${args[0]} ended with ${status}`);
  return { ms, said };
}

/** @param {string} file */
export async function digestOf(file) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest("hex");
}

/** What one program leaves dirty must not be the next one's to write. @param {string} file */
export async function settleAndRemove(file) {
  const handle = await open(file, "r");
  await handle.sync();
  await handle.close();
  await rm(file);
}

/**
 * Contenders take turns; the order turns round each time.
 * @param {readonly string[]} names @param {number} rounds
 * @param {(name: string) => Promise<number>} run gives the time in ms
 */
export async function interleaved(names, rounds, run) {
  /** @type {Map<string, number[]>} */
  const times = new Map(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : [...names].reverse()) times.get(name)?.push(await run(name));
  }
  return times;
}
