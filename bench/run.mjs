/**
 * `npm run bench`: keyladder against its peers on the same work. Contenders agree before they are timed; each has a
 * process of its own; rounds are interleaved; what counts is the median of the rounds' ratios. See docs/bench.md.
 *   --quick         fewer and shorter rounds
 *   --suite NAMES   only these, comma-separated
 *   --only TEXT     cases whose name holds TEXT
 *   --write         put headline and table into README.md
 *   --report        no run: show the last one again
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { installContenders } from "./harness/dependencies.mjs";
import { describeMachine } from "./harness/machine.mjs";
import { OURS } from "./harness/measure.mjs";
import { runCases } from "./harness/run-cases.mjs";
import { htmlReport } from "./report/html.mjs";
import { writeReadme } from "./report/readme.mjs";
import { printTables } from "./report/tables.mjs";
import { SUITES } from "./suites/index.mjs";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    suite: { type: "string", default: "" },
    only: { type: "string", default: "" },
    write: { type: "boolean", default: false },
    report: { type: "boolean", default: false },
  },
});
const RESULTS = new URL("results/results.json", import.meta.url);
const REPORT = new URL("results/report.html", import.meta.url);

/**
 * @typedef {{ at: string, minutes: number, machine: ReturnType<typeof describeMachine>, versions: Record<string, string>,
 *   effort: { rounds: number, roundMs: number }, rows: import("./harness/measure.mjs").Row[] }} Run
 */

/** @returns {Promise<Run>} */
async function run() {
  const started = Date.now();
  const effort = flags.quick ? { rounds: 3, roundMs: 100 } : { rounds: 7, roundMs: 150 };
  const wanted = flags.suite === "" ? SUITES : SUITES.filter(({ name }) => flags.suite.split(",").includes(name));
  if (wanted.length === 0) throw new Error(`--suite expected some of ${SUITES.map(({ name }) => name).join(", ")}`);
  installContenders();
  const rows = [];
  const versions = {};
  for (const suite of wanted) {
    const cases = (suite.cases ?? []).filter(({ name }) => name.includes(flags.only));
    if (suite.run === undefined && cases.length === 0) continue;
    const result = await (suite.run?.(effort, flags.only) ??
      runCases(cases, [suite.ours ?? OURS, ...(suite.peers ?? [])], effort));
    rows.push(...result.rows);
    Object.assign(versions, result.versions);
  }
  const minutes = (Date.now() - started) / 60_000;
  return { at: new Date(started).toISOString(), minutes, machine: describeMachine(), versions, effort, rows };
}

/** @type {Run} */
let record;
if (flags.report) {
  record = JSON.parse(readFileSync(RESULTS, "utf8"));
} else {
  record = await run();
  mkdirSync(new URL(".", RESULTS), { recursive: true });
  writeFileSync(RESULTS, `${JSON.stringify(record, null, 1)}\n`);
}
writeFileSync(REPORT, htmlReport(record));
printTables(record);
console.log(`figures: ${fileURLToPath(RESULTS)}\ncharts:  ${fileURLToPath(REPORT)}`);
if (flags.write) writeReadme(record);
