/** A column of NDJSON sealed and opened in a pipe: the command line against a script of one's own. */

import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { OURS, rowsOf } from "../harness/measure.mjs";
import { digestOf, inTemporaryFolder, interleaved, timed } from "../harness/processes.mjs";

const CLI = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const SCRIPT = fileURLToPath(new URL("../contenders/rows-create-cipheriv.mjs", import.meta.url));
const PEER = "create-cipheriv";
const ROWS = 2_000_000;
const FEW_ROWS = 200_000;
const MOST_ROUNDS = 3;

/** @param {number} count */
function* rowsText(count) {
  const LINES = 10_000;
  for (let from = 0; from < count; from += LINES) {
    let text = "";
    for (let id = from; id < Math.min(count, from + LINES); id++) {
      text += `{"id":${id},"name":"Person ${id % 977}","email":"person.${id}@example.com","active":${id % 3 === 0}}\n`;
    }
    yield Buffer.from(text);
  }
}

/** Both ends at once, as in a shell. @param {string} seal @param {string} open @param {string} src @param {string} dst */
const piped = (seal, open, src, dst) => ["bash", "-c", `set -o pipefail; ${seal} < '${src}' | ${open} > '${dst}'`];

/** @param {string} folder @returns {Promise<Record<string, (src: string, dst: string) => string[]>>} */
async function programs(folder) {
  const ladder = join(folder, "ladder");
  const cli = `'${process.execPath}' '${CLI}' -L '${ladder}'`;
  await timed([
    "sh",
    "-c",
    `${cli} -q init '${ladder}' --key-file '${join(folder, "key")}' && ${cli} -q key create orders`,
  ]);
  const options = "-k orders --keyset users.email --field email --bind id";
  const script = `'${process.execPath}' '${SCRIPT}'`;
  return {
    [OURS]: (src, dst) => piped(`${cli} -q records seal ${options}`, `${cli} -q records open ${options}`, src, dst),
    [PEER]: (src, dst) => piped(`${script} seal`, `${script} open`, src, dst),
  };
}

/** @param {{ rounds: number }} effort @param {string} only */
async function runRows({ rounds }, only) {
  const count = rounds < MOST_ROUNDS + 1 ? FEW_ROWS : ROWS;
  const name = `${count / 1e6} million rows, one field, sealed and opened`;
  if (!name.includes(only)) return { rows: [], versions: {} };
  const rows = await inTemporaryFolder(async (folder) => {
    const all = await programs(folder);
    const input = join(folder, "rows");
    const output = join(folder, "output");
    await pipeline(Readable.from(rowsText(count)), createWriteStream(input));
    const expected = await digestOf(input);
    const times = await interleaved(Object.keys(all), Math.min(rounds, MOST_ROUNDS), async (contender) => {
      const { ms } = await timed(all[contender]?.(input, output) ?? []);
      if ((await digestOf(output)) !== expected) throw new Error(`${contender} did not give the rows back`);
      await rm(output);
      return ms;
    });
    const case_ = { suite: "rows", name, kind: "rows", direction: "both", bytes: 0, items: count };
    return rowsOf(case_, times);
  });
  console.error(`${name}: ${rows.map((row) => `${row.contender} ${row.medianMs.toFixed(0)} ms`).join(", ")}`);
  return { rows, versions: {} };
}

export const SUITES = [
  {
    name: "rows",
    title: "Rows in a pipe",
    about:
      "NDJSON through `keyladder records seal | keyladder records open`, against the same script with createCipheriv.",
    run: runRows,
  },
];
