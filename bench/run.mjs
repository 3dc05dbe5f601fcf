/**
 * `npm run bench`: keyladder against its peers on the same work. Contenders agree before they are timed; each has a
 * process of its own; rounds are interleaved; what counts is the median of the rounds' ratios.
 *   --quick         fewer and shorter rounds
 *   --write         put the headline into README.md
 *   --only TEXT     cases whose name holds TEXT
 */

import { fork } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import Table from "cli-table3";
import { CASES } from "./cases.mjs";

const { values: flags } = parseArgs({
  options: { quick: { type: "boolean" }, write: { type: "boolean" }, only: { type: "string", default: "" } },
});
const ROUNDS = flags.quick ? 3 : 7;
const ROUND_MS = flags.quick ? 200 : 600;
const OURS = "keyladder";
const PEERS = ["aws-esdk"];

/** A contender's process; requests are answered in turn. @param {string} name */
function start(name) {
  const child = fork(new URL("worker.mjs", import.meta.url), [name], { serialization: "advanced" });
  return {
    name,
    stop: () => child.kill(),
    /** @param {Record<string, unknown>} request @returns {Promise<any>} */
    ask: (request) =>
      new Promise((resolve, reject) => {
        const exited = () => reject(new Error(`${name} ended`));
        child.once("exit", exited);
        child.once("message", (/** @type {any} */ answer) => {
          child.off("exit", exited);
          if (answer.failed) reject(new Error(`${name}: ${answer.failed}`));
          else resolve(answer);
        });
        child.send(request);
      }),
  };
}

/** @param {readonly number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** @param {import("./cases.mjs").Case} case_ @param {ReturnType<typeof start>[]} contenders */
async function measure(case_, contenders) {
  const messages = [];
  for (const contender of contenders) {
    messages.push((await contender.ask({ verb: "prepare", case: case_ })).message);
  }
  for (const contender of contenders) {
    for (const message of messages) {
      if (!(await contender.ask({ verb: "agree", message })).agrees) {
        throw new Error(`${contender.name} does not open what another made: ${case_.name}`);
      }
    }
  }
  /** @type {Map<string, number[]>} */
  const times = new Map(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? contenders : [...contenders].reverse();
    for (const contender of order) {
      const { meanMs } = await contender.ask({ verb: "round", ms: ROUND_MS });
      times.get(contender.name)?.push(meanMs);
    }
  }
  const ours = times.get(OURS) ?? [];
  return contenders.map(({ name }) => {
    const own = times.get(name) ?? [];
    return {
      case: case_.name,
      contender: name,
      medianMs: median(own),
      mbPerSecond: case_.plaintextBytes / 1000 / median(own),
      /** How many times longer this contender takes than ours. */
      ratio: median(own.map((ms, round) => ms / (ours[round] ?? Number.NaN))),
    };
  });
}

/** @param {Awaited<ReturnType<typeof measure>>} rows */
function print(rows) {
  const table = new Table({
    head: ["case", "contender", "median", "MB/s", "keyladder is faster by"],
    style: { head: [] },
  });
  for (const { case: name, contender, medianMs, mbPerSecond, ratio } of rows) {
    const time = medianMs < 1 ? `${(medianMs * 1000).toFixed(1)} us` : `${medianMs.toFixed(1)} ms`;
    table.push([name, contender, time, mbPerSecond.toFixed(0), contender === OURS ? "" : `${ratio.toFixed(1)}x`]);
  }
  console.log(table.toString());
}

/** The figure in README.md comes from here. @param {Awaited<ReturnType<typeof measure>>} rows */
function writeHeadline(rows) {
  const readme = new URL("../README.md", import.meta.url);
  /** @param {string} name */
  const ratio = (name) => rows.find((row) => row.case === name && row.contender !== OURS)?.ratio;
  const large = ratio("encrypt 100 MB");
  const small = ratio("encrypt 1 KiB, data key cached");
  if (large === undefined || small === undefined) throw new Error("--write needs the cases of the headline");
  const text = `${large.toFixed(1)}x (100 MB) to ${small.toFixed(1)}x (1 KiB, cached data key)`;
  const marked = /<!--bench:headline-->.*?<!--\/bench-->/s;
  const before = readFileSync(readme, "utf8");
  if (!marked.test(before)) throw new Error("README.md has no bench:headline marks");
  writeFileSync(readme, before.replace(marked, `<!--bench:headline-->${text}<!--/bench-->`));
}

const contenders = [OURS, ...PEERS].map(start);
const all = [];
try {
  for (const case_ of CASES.filter(({ name }) => name.includes(flags.only))) {
    const rows = await measure(case_, contenders);
    all.push(...rows);
    process.stderr.write(`${case_.name}: ${rows.slice(1).map((row) => `${row.ratio.toFixed(1)}x ${row.contender}`)}\n`);
  }
} finally {
  for (const contender of contenders) contender.stop();
}
print(all);
const machine = `${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}, OpenSSL ${process.versions.openssl}`;
console.log(`${machine}; ${ROUNDS} interleaved rounds a case, medians of ratios`);
const results = new URL("results/", import.meta.url);
mkdirSync(results, { recursive: true });
const record = { at: new Date().toISOString(), machine, rounds: ROUNDS, rows: all };
writeFileSync(new URL("messages.json", results), `${JSON.stringify(record, null, 2)}\n`);
if (flags.write) writeHeadline(all);
