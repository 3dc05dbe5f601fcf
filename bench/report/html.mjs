/** One self-contained page: no script, no font, no picture from elsewhere. */

import { readFileSync } from "node:fs";
import { SUITES } from "../suites/index.mjs";
import { judged } from "../targets.mjs";
import { ratioChart, targetChart, timeChart } from "./bar-chart.mjs";
import { headline, tiles } from "./headline.mjs";
import { lineChart } from "./line-chart.mjs";
import { figureText, lookOf, ratioText } from "./names.mjs";
import { escaped } from "./svg.mjs";

/** @typedef {import("../harness/measure.mjs").Row} Row */

/** @param {readonly Row[]} rows in the order measured */
const contendersOf = (rows) => [...new Set(rows.map(({ contender }) => contender))];

/** @param {readonly Row[]} rows @returns {import("./line-chart.mjs").Series[]} ours last, so that it lies on top */
function seriesOf(rows) {
  return contendersOf(rows)
    .sort((a, b) => Number(lookOf(a).ours ?? false) - Number(lookOf(b).ours ?? false))
    .map((contender) => ({
      contender,
      points: rows
        .filter((row) => row.contender === contender)
        .map(({ bytes, gbPerSecond }) => ({ bytes, gb: gbPerSecond }))
        .sort((a, b) => a.bytes - b.bytes),
    }));
}

/** @param {string} title @param {string} chart */
const figure = (title, chart) => `<div><h3>${escaped(title)}</h3>${chart}</div>`;

/** Seal and open side by side. @param {readonly Row[]} rows @param {{ logarithmic: boolean }} options */
function bothDirections(rows, options) {
  const charts = [
    ["seal", "Sealing"],
    ["open", "Opening"],
  ].map(([direction, title = ""]) => {
    const own = rows.filter((row) => row.direction === direction);
    return own.length === 0 ? "" : figure(title, lineChart(title, seriesOf(own), options));
  });
  return `<div class="pair">${charts.join("")}</div>`;
}

/** @param {readonly Row[]} rows */
function ratios(rows) {
  const groups = [...new Set(rows.map((row) => row.case))].map((name) => ({
    name,
    bars: rows.filter((row) => row.case === name && !row.base),
  }));
  return `<div class="scroll">${ratioChart(
    "ratios",
    groups.filter(({ bars }) => bars.length > 0),
  )}</div>`;
}

/** A chart for each part, with whom it is against where that is one. @param {readonly Row[]} rows @param {(row: Row) => string} partOf */
function ratiosByPart(rows, partOf) {
  return [...new Set(rows.map(partOf))]
    .map((part) => {
      const own = rows.filter((row) => partOf(row) === part);
      const peers = contendersOf(own.filter(({ base }) => !base));
      const { label, spoken = label } = lookOf(peers[0] ?? "");
      const against = peers.length === 1 ? `, against ${spoken}` : "";
      return `<h3>${escaped(`${part}${against}`)}</h3>${ratios(own)}`;
    })
    .join("");
}

/** @param {Row} row */
const recordPart = ({ case: name }) =>
  name.startsWith("one") ? "One a call" : name.startsWith("ladder") ? "Through ladder.records" : "A thousand a call";

/** @param {readonly Row[]} rows */
function native(rows) {
  const buffers = rows.filter(({ kind }) => kind === "buffer");
  const sealing = buffers.filter(({ direction }) => direction === "seal");
  const ctr = seriesOf(buffers.filter(({ direction, contender }) => direction === "ctr" && contender === "avx512"));
  const alone = ctr.map((one) => ({ ...one, name: "AVX-512, CTR alone", colour: "grey", dash: "5 4", ours: false }));
  const records = rows.filter(({ kind, direction }) => kind === "records" && direction === "seal");
  const perItem = records.map((row) => ({ ...row, bytes: row.bytes / row.items }));
  return `<div class="pair">${figure("One buffer, sealing", lineChart("One buffer", [...alone, ...seriesOf(sealing)], { logarithmic: false }))}${figure(
    "Records, sealing, by size of one",
    lineChart("Records", seriesOf(perItem), { logarithmic: false }),
  )}</div>`;
}

/** @param {readonly Row[]} rows */
function times(rows) {
  return [...new Set(rows.map((row) => row.case))]
    .map((name) => {
      const bars = rows
        .filter((row) => row.case === name)
        .map(({ contender, medianMs, peakRssMb }) => ({
          name: lookOf(contender).label,
          ms: medianMs,
          colour: lookOf(contender).colour,
          ...(peakRssMb === undefined ? {} : { note: `peak ${peakRssMb.toFixed(0)} MB` }),
        }));
      return `<h3>${escaped(name)}</h3><div class="scroll">${timeChart(name, bars)}</div>`;
    })
    .join("");
}

/** One contender, several operations. @param {readonly Row[]} rows */
function operations(rows) {
  const bars = rows.map((row) => ({ name: row.case.replace("ladder: ", ""), ms: row.medianMs, colour: "ours" }));
  return `<div class="scroll">${timeChart("operations", bars)}</div>`;
}

/** @type {Readonly<Record<string, (rows: readonly Row[]) => string>>} */
const DRAWN = {
  native,
  buffer: (rows) => bothDirections(rows, { logarithmic: true }),
  frames: (rows) => bothDirections(rows, { logarithmic: true }),
  records: (rows) => ratiosByPart(rows, recordPart),
  messages: (rows) =>
    ratiosByPart(rows, (row) => (row.case.includes("signed") ? "Signed, suite 0x0578" : "Suite 0x0478")),
  streams: (rows) => ratiosByPart(rows, () => "Suite 0x0478"),
  pool: (rows) => `<h3>Against one thread</h3>${ratios(rows)}`,
  files: times,
  rows: times,
  ladder: operations,
};

/** Every figure of a suite. @param {readonly Row[]} rows */
function table(rows) {
  const contenders = contendersOf(rows);
  const head = contenders.map((name) => `<th>${escaped(lookOf(name).label)}</th>`).join("");
  const lines = [...new Set(rows.map((row) => row.case))].map((name) => {
    const cells = contenders.map((contender) => {
      const row = rows.find((candidate) => candidate.case === name && candidate.contender === contender);
      if (row === undefined) return "<td></td>";
      const own = figureText(row);
      return row.base ? `<td class="ours">${own}</td>` : `<td>${own}<small>${ratioText(row.ratio)}</small></td>`;
    });
    return `<tr><td>${escaped(name)}</td>${cells.join("")}</tr>`;
  });
  return `<details><summary>Every figure</summary><div class="scroll"><table><tr><th></th>${head}</tr>${lines.join("")}</table></div></details>`;
}

/** @param {import("../run.mjs").Run} run */
function machineList({ machine, versions, effort, at, minutes }) {
  const facts = {
    Machine: `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.system}`,
    "CPU features": machine.features.join(" "),
    Node: `${machine.node}, with OpenSSL ${machine.nodeOpenssl}`,
    Compiler: machine.compiler,
    Commit: machine.commit,
    Contenders: Object.entries(versions)
      .filter(([, version]) => version)
      .map(([name, version]) => `${lookOf(name).label} (${version})`)
      .join(" · "),
    Run: `${at.slice(0, 16).replace("T", " ")} UTC, ${minutes.toFixed(0)} minutes, ${effort.rounds} rounds of ${effort.roundMs} ms a case and contender`,
  };
  const items = Object.entries(facts).filter(([, fact]) => fact);
  return `<dl>${items.map(([name, fact]) => `<dt>${name}</dt><dd>${escaped(fact)}</dd>`).join("")}</dl>`;
}

/** @param {import("../run.mjs").Run} run */
export function htmlReport(run) {
  const style = ["charts.css", "page.css"].map((file) => readFileSync(new URL(file, import.meta.url), "utf8")).join("");
  const targets = judged(run.rows);
  const met = targets.filter(({ met }) => met).length;
  const sections = SUITES.flatMap(({ name, title, about }) => {
    const rows = run.rows.filter(({ suite }) => suite === name);
    if (rows.length === 0) return [];
    return [
      `<section><h2>${escaped(title)}</h2><p>${escaped(about)}</p>${DRAWN[name]?.(rows) ?? ""}${table(rows)}</section>`,
    ];
  });
  const held =
    targets.length === 0
      ? ""
      : `<section><h2>What the engine is held to</h2><p>${met} of ${targets.length} met in this run. Each line is a ratio of one interleaved run.</p><div class="scroll">${targetChart(targets)}</div></section>`;
  const shown = tiles(run.rows).map(
    ({ value, text }) => `<div class="tile"><b>${escaped(value)}</b><span>${escaped(text)}</span></div>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>keyladder benchmarks</title><style>${style}</style></head>
<body><header><div><div class="brand">keyladder benchmarks</div><h1>${escaped(headline(run.rows))}</h1>
<p>${escaped(`${run.machine.cpu}, ${run.machine.cores} cores, Node ${run.machine.node}, ${run.at.slice(0, 10)}. Contenders agree byte for byte before they are timed; rounds are interleaved; figures are medians of ratios.`)}</p></div></header>
<main><div class="tiles">${shown.join("")}</div>${held}${sections.join("")}
<section><h2>Where and how</h2>${machineList(run)}</section></main></body></html>
`;
}
