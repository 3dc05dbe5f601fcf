/**
 * `npm run bench`: keyladder against its peers on the same work. Contenders agree before they are timed; each has a
 * process of its own; rounds are interleaved; what counts is the median of the rounds' ratios. See docs/bench.md.
 *   --quick         fewer and shorter rounds
 *   --suite NAMES   only these, comma-separated
 *   --only TEXT     cases whose name holds TEXT
 *   --write         put headline and table into README.md
 *   --report        draw the report of the last run again
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { start } from "./harness/contender.mjs";
import { installContenders } from "./harness/dependencies.mjs";
import { describeMachine } from "./harness/machine.mjs";
import { measure, OURS } from "./harness/measure.mjs";
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
const EFFORT = flags.quick ? { rounds: 3, roundMs: 100 } : { rounds: 7, roundMs: 300 };

/** @typedef {import("./harness/measure.mjs").Row} Row */

/** @param {typeof SUITES[number]} suite */
async function runSuite(suite) {
  const cases = suite.cases.filter(({ name }) => name.includes(flags.only));
  if (cases.length === 0) return { rows: [], versions: {} };
  const contenders = [];
  for (const name of [OURS, ...suite.peers]) contenders.push(await start(name));
  /** @type {Row[]} */
  const rows = [];
  try {
    for (const case_ of cases) {
      const measured = await measure(case_, contenders, EFFORT);
      rows.push(...measured);
      const ratios = measured.filter(({ contender }) => contender !== OURS);
      console.error(`${case_.name}: ${ratios.map((row) => `${row.ratio.toFixed(1)}x ${row.contender}`).join(", ")}`);
    }
  } finally {
    for (const contender of contenders) contender.stop();
  }
  return { rows, versions: Object.fromEntries(contenders.map(({ name, version }) => [name, version])) };
}

installContenders();
const wanted = flags.suite === "" ? SUITES : SUITES.filter(({ name }) => flags.suite.split(",").includes(name));
const rows = [];
const versions = {};
for (const suite of wanted) {
  const result = await runSuite(suite);
  rows.push(...result.rows);
  Object.assign(versions, result.versions);
}
const record = { at: new Date().toISOString(), machine: describeMachine(), versions, effort: EFFORT, rows };
const results = new URL("results/", import.meta.url);
mkdirSync(results, { recursive: true });
writeFileSync(new URL("results.json", results), `${JSON.stringify(record, null, 1)}\n`);
printTables(record);
void readFileSync;
