/** The run on the terminal: a table a suite, then what the engine is held to. */

import Table from "cli-table3";
import { SUITES } from "../suites/index.mjs";
import { judged } from "../targets.mjs";
import { figureText, lookOf, ratioText } from "./names.mjs";

const PLAIN = { style: { head: [], border: [], compact: true } };

/** @typedef {import("../harness/measure.mjs").Row} Row */

/** One line a case, a column a contender. @param {readonly Row[]} rows */
function suiteTable(rows) {
  const contenders = [...new Set(rows.map(({ contender }) => contender))];
  const table = new Table({ ...PLAIN, head: ["", ...contenders.map((name) => lookOf(name).label)] });
  for (const name of new Set(rows.map((row) => row.case))) {
    const cells = contenders.map((contender) => {
      const row = rows.find((candidate) => candidate.case === name && candidate.contender === contender);
      if (row === undefined) return "";
      const own = figureText(row);
      return row.base ? own : `${own}  ${ratioText(row.ratio)}`;
    });
    table.push([name, ...cells]);
  }
  return table.toString();
}

/** @param {import("../run.mjs").Run} run */
export function printTables({ rows, machine, effort, minutes }) {
  for (const { name, title, about } of SUITES) {
    const own = rows.filter(({ suite }) => suite === name);
    if (own.length > 0) console.log(`\n${title}. ${about}\n${suiteTable(own)}`);
  }
  const targets = new Table({ ...PLAIN, head: ["", "aim", "measured", ""] });
  for (const { text, aim, atMost, unit, measured, met } of judged(rows)) {
    const shown = (/** @type {number} */ value) =>
      unit === undefined ? ratioText(value) : `${value.toFixed(0)}${unit}`;
    const wanted = aim === undefined ? "" : `${atMost ? "at most" : "at least"} ${shown(aim)}`;
    targets.push([text, wanted, shown(measured), met ? "met" : "MISSED"]);
  }
  if (targets.length > 0) console.log(`\nWhat the engine is held to\n${targets}`);
  console.log(
    `\nA figure behind a throughput: how many times longer that contender takes.\n${machine.cpu}, ${machine.cores} cores, ` +
      `Node ${machine.node}; ${effort.rounds} interleaved rounds a case, medians of ratios; ${minutes.toFixed(0)} minutes`,
  );
}
