/** Builds bench/native with the project's own kernels: what is older than its sources, as many files at once as there are cores. */

import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const KERNELS = join(root, "native", "kernels");
const SOURCES = join(root, "bench", "native");
const OUT = join(root, "bench", "results", "native");
const FLAGS = ["-O3", "-std=c++17", "-Wall", "-Wextra"];

/** What is compiled in where the machine has it. */
const PEERS = [
  { header: "openssl/evp.h", define: "-DWITH_OPENSSL", library: "-lcrypto", debian: "libssl-dev" },
  { header: "intel-ipsec-mb.h", define: "-DWITH_IPSEC_MB", library: "-lIPSec_MB", debian: "libipsec-mb-dev" },
];

/** @param {string} folder @param {string} suffix */
const filesIn = (folder, suffix) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(suffix))
    .map((name) => join(folder, name));

/** @param {string} file */
const changedAt = (file) => (existsSync(file) ? statSync(file).mtimeMs : 0);

/** @param {string} header */
function hasHeader(header) {
  const args = ["-fsyntax-only", "-x", "c++", "-"];
  return spawnSync("g++", args, { input: `#include <${header}>\n`, stdio: ["pipe", "ignore", "ignore"] }).status === 0;
}

/**
 * @returns {Promise<{ program: string, missing: string[] } | { skipped: string }>} `missing`: peers this machine lacks
 */
export async function buildNative() {
  if (spawnSync("g++", ["--version"], { stdio: "ignore" }).status !== 0) return { skipped: "g++ is not here" };
  const peers = PEERS.filter(({ header }) => hasHeader(header));
  const missing = PEERS.filter((peer) => !peers.includes(peer)).map(({ debian }) => debian);
  mkdirSync(OUT, { recursive: true });
  const headers = Math.max(...[KERNELS, SOURCES].flatMap((folder) => filesIn(folder, ".h")).map(changedAt));
  const sources = [KERNELS, SOURCES].flatMap((folder) => filesIn(folder, ".cc"));
  const objects = sources.map((source) => ({ source, object: join(OUT, `${basename(source, ".cc")}.o`) }));
  const stale = objects.filter(
    ({ source, object }) => changedAt(object) < Math.max(headers, changedAt(source), ownChange()),
  );
  const compile = async () => {
    for (let next = stale.pop(); next !== undefined; next = stale.pop()) {
      const defines = peers.map(({ define }) => define);
      await run("g++", [...FLAGS, ...defines, `-I${KERNELS}`, "-c", next.source, "-o", next.object]);
    }
  };
  const program = join(OUT, "native-bench");
  if (stale.length > 0) {
    console.error(`bench: compiling ${stale.length} files of native/kernels and bench/native`);
    await Promise.all(Array.from({ length: availableParallelism() }, compile));
  }
  const libraries = peers.map(({ library }) => library);
  await run("g++", [...objects.map(({ object }) => object), "-o", program, ...libraries]);
  return { program, missing };
}

/** Flags are part of what was built. */
function ownChange() {
  return changedAt(fileURLToPath(import.meta.url));
}
