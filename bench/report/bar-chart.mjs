/** Ratios as bars from 1×, on a logarithmic axis: to the right keyladder is faster, to the left it loses. */

import { lookOf, ratioText, timeText } from "./names.mjs";
import { element, escaped, label, linearScale, logScale } from "./svg.mjs";

const WIDTH = 1120;
const BAR = 13;
const GAP = 5;
const GROUP_GAP = 12;
const LEFT = 330;
const RIGHT = WIDTH - 250;
/** Only where all ratios are near 1. */
const CLOSE_TICKS = [0.75, 1.5];
const TICKS = [0.1, 0.2, 0.5, 0.75, 1, 1.5, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000];

/** @typedef {{ contender: string, ratio: number, low: number, high: number }} Bar */

/**
 * @param {string} title
 * @param {readonly { name: string, bars: readonly Bar[] }[]} groups
 */
export function ratioChart(title, groups) {
  const all = groups.flatMap(({ bars }) => bars);
  const least = Math.min(0.9, ...all.map(({ ratio, low }) => Math.min(ratio, low) * 0.9));
  const most = Math.max(2, ...all.map(({ ratio, high }) => Math.max(ratio, high) * 1.1));
  const x = logScale(least, most, LEFT, RIGHT);
  const one = x(1);
  const named = new Set(all.map(({ contender }) => contender)).size > 1;
  let y = 26;
  /** @type {string[]} */
  const drawn = [];
  for (const { name, bars } of groups) {
    const middle = y + (bars.length * (BAR + GAP) - GAP) / 2 + 4;
    drawn.push(label(LEFT - 14, middle, name, { class: "case", "text-anchor": "end" }));
    for (const bar of bars) {
      drawn.push(barOf(bar, named, x, one, y));
      y += BAR + GAP;
    }
    y += GROUP_GAP - GAP;
  }
  const close = most / least < 8;
  const ticks = TICKS.filter((tick) => tick >= least && tick <= most && (close || !CLOSE_TICKS.includes(tick))).flatMap(
    (tick) => [
      element("line", { class: tick === 1 ? "base" : "grid", x1: x(tick), x2: x(tick), y1: 18, y2: y - GROUP_GAP + 6 }),
      label(x(tick), 12, `${tick}×`, { class: "tick", "text-anchor": "middle" }),
    ],
  );
  return element(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${y}`, role: "img", "aria-label": `${title}: how many times faster keyladder is` },
    ...ticks,
    ...drawn,
  );
}

/**
 * @param {Bar} bar @param {boolean} named whether the bar says whom it is about
 * @param {(ratio: number) => number} x @param {number} one @param {number} y
 */
function barOf({ contender, ratio, low, high }, named, x, one, y) {
  const { label: name, colour } = lookOf(contender);
  const end = x(ratio);
  const lost = ratio < 1;
  const text = named ? `${ratioText(ratio)} ${name}` : ratioText(ratio);
  const [from, width] = lost ? [end, one - end] : [one, end - one];
  const middle = y + BAR / 2;
  return element(
    "g",
    { class: "bar" },
    element(
      "title",
      {},
      escaped(`${name}: ${ratioText(ratio)}; half of the rounds between ${ratioText(low)} and ${ratioText(high)}`),
    ),
    element("rect", {
      class: lost ? "lost" : `f-${colour}`,
      x: from,
      y,
      width: Math.max(width, 1.5),
      height: BAR,
      rx: 2.5,
    }),
    element("line", { class: "whisker", x1: x(low), x2: x(high), y1: middle, y2: middle }),
    label(Math.max(end, one, x(high)) + 8, middle + 4, text, { class: "value" }),
  );
}

/**
 * Plain durations, shortest first is not forced: the order given is the order drawn.
 * @param {string} title
 * @param {readonly { name: string, ms: number, colour: string, note?: string }[]} bars
 */
export function timeChart(title, bars) {
  const x = linearScale(0, Math.max(...bars.map(({ ms }) => ms)), LEFT, RIGHT);
  const drawn = bars.map(({ name, ms, colour, note }, i) => {
    const y = 6 + i * (BAR + 12);
    const text = note === undefined ? timeText(ms) : `${timeText(ms)}  ${note}`;
    return element(
      "g",
      { class: "bar" },
      label(LEFT - 14, y + BAR - 2, name, { class: "case", "text-anchor": "end" }),
      element("rect", { class: `f-${colour}`, x: LEFT, y, width: Math.max(x(ms) - LEFT, 1.5), height: BAR, rx: 2.5 }),
      label(x(ms) + 8, y + BAR - 2, text, { class: "value" }),
    );
  });
  return element(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${bars.length * (BAR + 12) + 6}`, role: "img", "aria-label": title },
    ...drawn,
  );
}

/** @typedef {ReturnType<typeof import("../targets.mjs").judged>[number]} Judged */

const TARGET_ROW = 27;
const TARGET_TEXT_END = 560;
const TARGET_SCALE = logScale(0.25, 4, TARGET_TEXT_END + 20, WIDTH - 190);

/** Each target by how far beyond its aim it got, on one scale for all. @param {readonly Judged[]} targets */
export function targetChart(targets) {
  const x = TARGET_SCALE;
  let y = 18;
  /** @type {string[]} */
  const drawn = [];
  let group = "";
  for (const target of targets) {
    if (target.group !== group) {
      group = target.group;
      y += drawn.length === 0 ? 10 : 20;
      drawn.push(label(0, y + 4, group, { class: "group" }));
    }
    drawn.push(targetLine(target, y));
    y += TARGET_ROW;
  }
  const ticks = [
    { share: 0.5, text: "half" },
    { share: 1, text: "aim" },
    { share: 2, text: "twice" },
  ].flatMap(({ share, text }) => [
    label(x(share), 8, text, { class: "tick", "text-anchor": "middle" }),
    element("line", { class: share === 1 ? "base" : "grid", x1: x(share), x2: x(share), y1: 14, y2: y - 12 }),
  ]);
  const size = { viewBox: `0 0 ${WIDTH} ${y - 8}`, role: "img", "aria-label": "What the engine is held to" };
  return element("svg", size, ...ticks, ...drawn);
}

/** @param {Judged} target @param {number} y its middle */
function targetLine({ text, aim = 1, atMost, unit, measured, met }, y) {
  const x = TARGET_SCALE;
  const share = Math.min(3.9, Math.max(0.26, atMost ? aim / measured : measured / aim));
  const shown = (/** @type {number} */ value) => (unit === undefined ? ratioText(value) : `${value.toFixed(0)}${unit}`);
  return element(
    "g",
    { class: `target ${met ? "met" : "missed"}` },
    label(TARGET_TEXT_END, y + 4, text, { class: "case", "text-anchor": "end" }),
    element("line", { class: "track", x1: x(0.25), x2: x(4), y1: y, y2: y }),
    element("line", { class: "reach", x1: x(1), x2: x(share), y1: y, y2: y }),
    element("circle", { class: "dot", cx: x(share), cy: y, r: 5.5 }),
    label(WIDTH - 172, y + 4, shown(measured), { class: "value strong" }),
    label(WIDTH - 92, y + 4, `${atMost ? "≤" : "≥"} ${shown(aim)}`, { class: "tick" }),
    label(WIDTH - 2, y + 5, met ? "✓" : "✗", { class: "mark", "text-anchor": "end" }),
  );
}
