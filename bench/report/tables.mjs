/** The run on the terminal. */

import Table from "cli-table3";
import { OURS } from "../harness/measure.mjs";

/** @param {any} record */
export function printTables({ rows }) {
  const table = new Table({
    head: ["case", "contender", "median", "GB/s", "keyladder is faster by"],
    style: { head: [] },
  });
  for (const { case: name, contender, medianMs, gbPerSecond, ratio } of rows) {
    const time = medianMs < 1 ? `${(medianMs * 1000).toFixed(2)} us` : `${medianMs.toFixed(1)} ms`;
    table.push([name, contender, time, gbPerSecond.toFixed(3), contender === OURS ? "" : `${ratio.toFixed(1)}x`]);
  }
  console.log(table.toString());
}
