/** Figures into README.md: between marks, by this script, never by hand. */

import { readFileSync, writeFileSync } from "node:fs";
import { rowOf } from "./headline.mjs";
import { ratioText, speedText, timeText } from "./names.mjs";

const README = new URL("../../README.md", import.meta.url);

/** case · contender · what the row is called */
const TABLE = /** @type {const} */ ([
  ["encrypt 100 MiB, output reused", "aws-esdk", "encrypt 100 MiB", "AWS Encryption SDK"],
  ["decrypt 100 MiB, output reused", "aws-esdk", "decrypt 100 MiB", "AWS Encryption SDK"],
  ["encrypt 1 KiB, data key cached", "aws-esdk", "encrypt 1 KiB, data key cached", "AWS Encryption SDK"],
  ["frames of 4 KiB, seal 1 MiB", "create-cipheriv", "seal 1 MiB in frames of 4 KiB", "`createCipheriv`"],
  ["1000 records of 64 B, seal", "create-cipheriv", "seal 1000 records of 64 B", "`createCipheriv`"],
  ["encrypt a file of 1 GiB", "age", "encrypt a file of 1 GiB", "`age`"],
  ["encrypt a file of 1 GiB", "cp + sync", "encrypt a file of 1 GiB", "`cp` and `sync`"],
]);

/** @param {string} text @param {string} mark @param {string} content */
function between(text, mark, content) {
  const marked = new RegExp(`<!--bench:${mark}-->.*?<!--/bench-->`, "s");
  if (!marked.test(text)) throw new Error(`README.md has no bench:${mark} marks`);
  return text.replace(marked, () => `<!--bench:${mark}-->${content}<!--/bench-->`);
}

/** @param {import("../run.mjs").Run} run */
export function writeReadme({ rows, machine, at }) {
  const large = rowOf(rows, "encrypt 100 MiB, output reused", "aws-esdk");
  const small = rowOf(rows, "encrypt 1 KiB, data key cached", "aws-esdk");
  if (large === undefined || small === undefined) throw new Error("--write needs the messages suite");
  const headline = `${ratioText(large.ratio)} (100 MiB) to ${ratioText(small.ratio)} (1 KiB, cached data key)`;
  const lines = TABLE.flatMap(([name, peer, what, peerName]) => {
    const [own, other] = [rowOf(rows, name, "keyladder"), rowOf(rows, name, peer)];
    if (own === undefined || other === undefined) return [];
    const shown = (/** @type {import("../harness/measure.mjs").Row} */ row) =>
      row.medianMs < 0.1 || row.kind === "files" ? timeText(row.medianMs) : speedText(row.gbPerSecond);
    return [`| ${what} | ${shown(own)} | ${peerName} ${shown(other)} | ${ratioText(other.ratio)} |`];
  });
  const table = [
    "",
    "| | keyladder | against | faster by |",
    "| --- | --- | --- | --- |",
    ...lines,
    "",
    `${machine.cpu}, one thread unless a file, Node ${machine.node}, ${at.slice(0, 10)}. Losses and method: [bench](docs/bench.md).`,
    "",
  ].join("\n");
  const text = readFileSync(README, "utf8");
  writeFileSync(README, between(between(text, "headline", headline), "table", table));
}
