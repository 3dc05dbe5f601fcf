/**
 * AES-256-GCM without Node: every kernel this CPU has, OpenSSL's EVP and Intel's ipsec-mb in one process, and
 * `openssl speed` in turn with it.
 */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { firstLine } from "../harness/machine.mjs";
import { rowsOf } from "../harness/measure.mjs";
import { buildNative } from "../harness/native-build.mjs";
import { KIB, MIB, sizeText } from "./sizes.mjs";

const run = promisify(execFile);
/** Best first: what dispatch would choose is what ratios are counted in. */
const KERNELS = ["avx512", "avx2", "aesni"];
const SPEED_BYTES = [64, 256, KIB, 4 * KIB, 16 * KIB, MIB];
const SPEED = "openssl speed";
/** A round inside the program: short ones, many of them. */
const INNER_ROUNDS = 3;
const INNER_MS = 4;
/** The program's status where a contender's bytes were not the others'. */
const DISAGREED = 3;

/** @typedef {{ kind: string, operation: string, itemBytes: number, items: number, contender: string, ns: number }} Measured */

/** @param {Measured} measured */
function caseOf({ kind, operation, itemBytes, items }) {
  const what = kind === "buffer" ? "one buffer" : `${kind} of ${sizeText(itemBytes)}`;
  const bytes = itemBytes * items;
  return { name: `native: ${what}, ${operation} ${sizeText(bytes)}`, kind, direction: operation, bytes, items };
}

/** @param {string} program @returns {Promise<Measured[]>} */
async function programRound(program) {
  const { stdout, stderr, status } = await run(program, [String(INNER_ROUNDS), String(INNER_MS)]).then(
    (output) => ({ ...output, status: 0 }),
    (error) => ({ ...error, status: error.code }),
  );
  if (status === DISAGREED) {
    console.error(`native: DISAGREES, not timed: ${stderr.trim()}`);
    process.exitCode = 1;
  } else if (status !== 0) {
    throw new Error(`native-bench ended with ${status}: ${stderr}`);
  }
  return stdout
    .trim()
    .split("\n")
    .map((/** @type {string} */ line) => JSON.parse(line));
}

/** One second of `openssl speed` at one size. @param {number} bytes @returns {Promise<Measured>} */
async function speedRound(bytes) {
  const args = ["speed", "-mr", "-seconds", "1", "-evp", "aes-256-gcm", "-bytes", String(bytes)];
  const { stdout } = await run("openssl", args);
  const bytesPerSecond = Number(/^\+F:\d+:AES-256-GCM:([\d.]+)/m.exec(stdout)?.[1]);
  if (!(bytesPerSecond > 0)) throw new Error(`openssl speed answered in words unknown here:\n${stdout}`);
  const ns = (bytes / bytesPerSecond) * 1e9;
  return { kind: "buffer", operation: "seal", itemBytes: bytes, items: 1, contender: SPEED, ns };
}

/** @param {{ rounds: number }} effort @param {string} only */
async function runNative({ rounds }, only) {
  const built = await buildNative();
  if ("skipped" in built) {
    console.error(`bench: SKIPPED native peers: ${built.skipped}`);
    return { rows: [], versions: {} };
  }
  if (built.missing.length > 0) console.error(`bench: SKIPPED peers that need ${built.missing.join(", ")}`);
  const speedVersion = firstLine("openssl", ["version"]);
  if (speedVersion === undefined) console.error("bench: SKIPPED openssl speed: openssl is not here");
  /** @type {Map<string, { case_: ReturnType<typeof caseOf>, times: Map<string, number[]> }>} */
  const byCase = new Map();
  for (let round = 0; round < rounds; round++) {
    const measured = await programRound(built.program);
    for (const bytes of speedVersion === undefined ? [] : SPEED_BYTES) measured.push(await speedRound(bytes));
    for (const one of measured) {
      const case_ = caseOf(one);
      const entry = byCase.get(case_.name) ?? { case_, times: new Map() };
      byCase.set(case_.name, entry);
      entry.times.set(one.contender, [...(entry.times.get(one.contender) ?? []), one.ns / 1e6]);
    }
    console.error(`native: round ${round + 1} of ${rounds}`);
  }
  const rows = [...byCase.values()]
    .filter(({ case_ }) => case_.name.includes(only))
    .flatMap(({ case_, times }) => {
      const base = KERNELS.find((kernel) => times.has(kernel));
      return rowsOf({ suite: "native", ...case_ }, times, base);
    });
  return { rows, versions: { evp: speedVersion } };
}

export const SUITES = [
  {
    name: "native",
    title: "Kernels, without Node",
    about:
      "Each kernel of this project by itself, L2-resident, on one core. ctr: the same kernel without authentication.",
    run: runNative,
  },
];
