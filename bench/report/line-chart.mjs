/** Size against throughput: a line a contender, named where it ends. */

import { sizeText } from "../suites/sizes.mjs";
import { lookOf, speedText } from "./names.mjs";
import { element, label, linearScale, logScale } from "./svg.mjs";

const WIDTH = 560;
const HEIGHT = 340;
const PLOT = { left: 44, right: WIDTH - 132, top: 30, bottom: HEIGHT - 34 };
const LABEL_STEP = 15;

/** @typedef {{ contender: string, name?: string, colour?: string, dash?: string, ours?: boolean, points: readonly { bytes: number, gb: number }[] }} Series */

/** Moves labels apart, in order, without leaving the plot. @param {{ y: number }[]} labels */
function spread(labels) {
  labels.sort((a, b) => a.y - b.y);
  for (let i = 1; i < labels.length; i++) {
    const [above, here] = [labels[i - 1], labels[i]];
    if (above !== undefined && here !== undefined) here.y = Math.max(here.y, above.y + LABEL_STEP);
  }
  const last = labels.at(-1);
  let limit = last === undefined ? 0 : Math.min(last.y, PLOT.bottom + 2);
  for (const one of [...labels].reverse()) {
    one.y = Math.min(one.y, limit);
    limit = one.y - LABEL_STEP;
  }
}

/** @param {number} most @param {boolean} logarithmic @param {number} least */
function ticksOf(least, most, logarithmic) {
  if (logarithmic) return [0.001, 0.01, 0.1, 1, 10, 100].filter((tick) => tick >= least && tick <= most);
  const step = most > 30 ? 10 : most > 12 ? 5 : most > 5 ? 2 : 1;
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step);
}

/**
 * @param {string} title
 * @param {readonly Series[]} series
 * @param {{ logarithmic: boolean }} options of the throughput axis; the size axis is always logarithmic
 */
export function lineChart(title, series, { logarithmic }) {
  const sizes = [...new Set(series.flatMap(({ points }) => points.map(({ bytes }) => bytes)))].sort((a, b) => a - b);
  const speeds = series.flatMap(({ points }) => points.map(({ gb }) => gb));
  const most = Math.max(...speeds) * (logarithmic ? 1.5 : 1.06);
  const least = logarithmic ? 10 ** Math.floor(Math.log10(Math.min(...speeds))) : 0;
  const x = logScale(sizes[0] ?? 1, sizes.at(-1) ?? 2, PLOT.left, PLOT.right);
  const y = logarithmic ? logScale(least, most, PLOT.bottom, PLOT.top) : linearScale(0, most, PLOT.bottom, PLOT.top);

  const grid = ticksOf(least, most, logarithmic).flatMap((tick) => [
    element("line", { class: "grid", x1: PLOT.left, x2: PLOT.right, y1: y(tick), y2: y(tick) }),
    label(PLOT.left - 8, y(tick) + 4, String(tick), { class: "tick", "text-anchor": "end" }),
  ]);
  const crowded = sizes.length > 6;
  const sizeTicks = sizes.flatMap((bytes, i) =>
    crowded && i % 2 === 1
      ? []
      : [label(x(bytes), PLOT.bottom + 20, sizeText(bytes), { class: "tick", "text-anchor": "middle" })],
  );
  const lines = series.map((one) => lineOf(one, x, y));
  const labels = series.map((one) => ({ ...one, y: y(one.points.at(-1)?.gb ?? 0) + 4 }));
  spread(labels);
  const names = labels.map((one) => {
    const { label: name, colour, ours } = { ...lookOf(one.contender), ...one };
    const text = one.name ?? name;
    return label(PLOT.right + 10, one.y, text, { class: `name t-${colour}${ours ? " strong" : ""}` });
  });
  return element(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}, GB/s by size` },
    label(PLOT.left - 36, 14, "GB/s", { class: "tick" }),
    ...grid,
    ...sizeTicks,
    ...lines,
    ...names,
  );
}

/** @param {Series} one @param {(bytes: number) => number} x @param {(gb: number) => number} y */
function lineOf(one, x, y) {
  const { label: name, colour, dash, ours } = { ...lookOf(one.contender), ...one };
  const path = one.points.map(({ bytes, gb }) => `${x(bytes).toFixed(1)},${y(gb).toFixed(1)}`).join(" ");
  const marks = one.points.map(({ bytes, gb }) =>
    element(
      "g",
      { class: "point" },
      element("circle", { class: "hit", cx: x(bytes), cy: y(gb), r: 9 }),
      element("circle", { class: `f-${colour}`, cx: x(bytes), cy: y(gb), r: ours ? 3.2 : 2.4 }),
      element("title", {}, `${one.name ?? name}, ${sizeText(bytes)}: ${speedText(gb)}`),
    ),
  );
  const line = element("polyline", {
    class: `line s-${colour}${ours ? " strong" : ""}`,
    points: path,
    "stroke-dasharray": one.dash ?? dash,
  });
  return element("g", {}, line, ...marks);
}
