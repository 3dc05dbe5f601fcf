/** The cases of one suite, by contenders' processes. */

import { start } from "./contender.mjs";
import { measure } from "./measure.mjs";

/**
 * @param {readonly import("./measure.mjs").Case[]} cases
 * @param {readonly string[]} names of contenders; ratios are counted in the first one's time
 * @param {{ rounds: number, roundMs: number }} effort
 */
export async function runCases(cases, names, effort) {
  const contenders = [];
  /** @type {import("./measure.mjs").Row[]} */
  const rows = [];
  try {
    for (const name of names) contenders.push(await start(name));
    for (const case_ of cases) {
      const measured = await measure(case_, contenders, effort);
      rows.push(...measured);
      console.error(`${case_.name}: ${measured.map(inShort).join(", ") || "nobody takes part"}`);
    }
  } catch (error) {
    // What was measured stands and is shown; the run as a whole has failed.
    console.error(`FAILED, and the rest of this suite with it: ${error instanceof Error ? error.stack : error}`);
    process.exitCode = 1;
  } finally {
    for (const contender of contenders) contender.stop();
  }
  return { rows, versions: Object.fromEntries(contenders.map(({ name, version }) => [name, version])) };
}

/** @param {import("./measure.mjs").Row} row */
function inShort({ contender, base, ratio, medianMs }) {
  return base ? `${(medianMs * 1000).toPrecision(3)} us` : `${ratio.toFixed(1)}x ${contender}`;
}
