/**
 * `npm run bench:guard`: fails when a ratio falls through its floor in floors.json. Ratios only: the machine may be slow,
 * the engine may not be slow on it. Floors are those of the best kernel this CPU could run, whatever engine is in use.
 *   --show   measure and print, judge nothing
 */

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import Table from "cli-table3";
import { start } from "./harness/contender.mjs";
import { bestKernel } from "./harness/machine.mjs";
import { measure, OURS } from "./harness/measure.mjs";
import { ratioText } from "./report/names.mjs";
import { SUITES } from "./suites/index.mjs";

const { values: flags } = parseArgs({ options: { show: { type: "boolean", default: false } } });
const EFFORT = { rounds: 7, roundMs: 80 };
/** What falls through is measured again: a neighbour's burst passes, a slow engine stays. */
const ATTEMPTS = 3;

/** @type {{ [kernel: string]: Record<string, Record<string, number>> }} kernel, case, peer */
const FLOORS = JSON.parse(readFileSync(new URL("floors.json", import.meta.url), "utf8"));
const kernel = bestKernel();
const floors = FLOORS[kernel] ?? {};
const cases = SUITES.flatMap(({ cases: own = [] }) => own).filter(({ name }) => name in floors);
const unknown = Object.keys(floors).filter((name) => !cases.some((case_) => case_.name === name));
if (unknown.length > 0) throw new Error(`floors.json names no case of ours: ${unknown.join(", ")}`);

const names = [OURS, ...new Set(Object.values(floors).flatMap((peers) => Object.keys(peers)))];
const contenders = new Map();
for (const name of names) contenders.set(name, await start(name));
console.log(`This CPU should run ${kernel}; in use: ${contenders.get(OURS).version}`);

/** The best of several attempts for each peer. @param {import("./harness/measure.mjs").Case} case_ */
async function attempt(case_) {
  const wanted = floors[case_.name] ?? {};
  const taking = [OURS, ...Object.keys(wanted)].map((name) => contenders.get(name));
  /** @type {Record<string, number>} */
  const best = {};
  for (let attempts = 0; attempts < ATTEMPTS; attempts++) {
    for (const { contender, ratio } of await measure(case_, taking, EFFORT)) {
      best[contender] = Math.max(best[contender] ?? 0, ratio);
    }
    if (flags.show || Object.entries(wanted).every(([peer, floor]) => (best[peer] ?? 0) >= floor)) break;
  }
  return Object.entries(wanted).map(([peer, floor]) => ({ name: case_.name, peer, floor, ratio: best[peer] ?? 0 }));
}

const judged = [];
try {
  for (const case_ of cases) judged.push(...(await attempt(case_)));
} finally {
  for (const contender of contenders.values()) contender.stop();
}
const table = new Table({
  head: ["case", "against", "floor", "measured", ""],
  style: { head: [], border: [], compact: true },
});
for (const { name, peer, floor, ratio } of judged) {
  table.push([name, peer, ratioText(floor), ratioText(ratio), ratio >= floor ? "holds" : "FELL THROUGH"]);
}
console.log(table.toString());
const fallen = judged.filter(({ ratio, floor }) => ratio < floor);
if (judged.length === 0) console.log("NOTHING IS GUARDED: floors.json has no floors for this CPU");
if (fallen.length > 0 && !flags.show) {
  console.error(`${fallen.length} of ${judged.length} ratios fell through their floors, each ${ATTEMPTS} times`);
  process.exitCode = 1;
}
