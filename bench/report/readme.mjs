/** Figures into README.md, and their chart into docs/bench.svg: by this script, never by hand. */

import { readFileSync, writeFileSync } from "node:fs";
import { MIB } from "../suites/sizes.mjs";
import { ratioChart } from "./bar-chart.mjs";
import { rowOf } from "./headline.mjs";
import { lookOf, ratioText, speedText, timeText } from "./names.mjs";

const README = new URL("../../README.md", import.meta.url);
const CHART = new URL("../../docs/bench.svg", import.meta.url);

/** Case, contender, and what the reader is told of the case. */
const SHOWN = /** @type {const} */ ([
  ["encrypt 100 MiB, output reused", "aws-esdk", "encrypt 100 MiB into a buffer that is kept"],
  ["encrypt 100 MiB", "aws-esdk", "encrypt 100 MiB into fresh memory"],
  ["encrypt 1 KiB, data key cached", "aws-esdk", "encrypt 1 KiB, data key cached"],
  ["decrypt 1 KiB, data key cached", "aws-esdk", "decrypt 1 KiB, data key cached"],
  ["encrypt 1 KiB, signed", "aws-esdk", "encrypt 1 KiB, signed"],
  ["frames of 4 KiB, seal 1 MiB", "create-cipheriv", "seal 1 MiB in frames of 4 KiB"],
  ["1000 records of 64 B, seal", "create-cipheriv", "seal 1000 records of 64 B"],
  ["2 million rows, one field, sealed and opened", "create-cipheriv", "2 million rows, sealed and opened"],
  ["encrypt a file of 1 GiB", "age", "encrypt a file of 1 GiB"],
  ["encrypt a file of 1 GiB", "cp + sync", "encrypt a file of 1 GiB, against a plain copy"],
]);

/** @param {string} text @param {string} mark @param {string} content */
function between(text, mark, content) {
  const marked = new RegExp(`<!--bench:${mark}-->.*?<!--/bench-->`, "s");
  if (!marked.test(text)) throw new Error(`README.md has no bench:${mark} marks`);
  return text.replace(marked, () => `<!--bench:${mark}-->${content}<!--/bench-->`);
}

/** What is small, or a whole program, is told by its time. @param {import("../harness/measure.mjs").Row} row */
const figure = ({ bytes, kind, medianMs, gbPerSecond }) =>
  bytes < MIB || kind === "files" ? timeText(medianMs) : speedText(gbPerSecond);

/** @param {import("../run.mjs").Run} run */
export function writeReadme({ rows, machine, at }) {
  const large = rowOf(rows, "encrypt 100 MiB, output reused", "aws-esdk");
  const small = rowOf(rows, "encrypt 1 KiB, data key cached", "aws-esdk");
  if (large === undefined || small === undefined) throw new Error("--write needs the messages suite");
  const headline = `${ratioText(large.ratio)} (100 MiB into a kept buffer) and ${ratioText(small.ratio)} (1 KiB, cached data key)`;
  const shown = SHOWN.flatMap(([name, contender, what]) => {
    const [own, other] = [rowOf(rows, name, "keyladder"), rowOf(rows, name, contender)];
    return own === undefined || other === undefined ? [] : [{ what, own, other }];
  });
  const lines = shown.map(
    ({ what, own, other }) =>
      `| ${what} | ${figure(own)} | ${lookOf(other.contender).label} ${figure(other)} | ${ratioText(other.ratio)} |`,
  );
  const table = [
    "",
    "| | keyladder | against | ratio |",
    "| --- | --- | --- | --- |",
    ...lines,
    "",
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${at.slice(0, 10)}; one thread, except for files.`,
    "",
  ].join("\n");
  const text = readFileSync(README, "utf8");
  writeFileSync(README, between(between(text, "headline", headline), "table", table));
  writeFileSync(
    CHART,
    standalone(
      ratioChart(
        "How many times faster",
        shown.map(({ what, other }) => ({ name: what, bars: [other] })),
      ),
    ),
  );
}

/** A chart with its style inside, light or dark as the reader's system is. @param {string} svg */
function standalone(svg) {
  const style = readFileSync(new URL("charts.css", import.meta.url), "utf8");
  return svg.replace(
    /^<svg ([^>]*)>/,
    (_all, attributes) => `<svg xmlns="http://www.w3.org/2000/svg" ${attributes}><style>${style}</style>`,
  );
}
