/** Contenders on one case: they agree, then take turns, and what counts is the median of the rounds' ratios. */

import { median, ratioOf } from "./statistics.mjs";

/**
 * `bytes`: plaintext of one call. `items`: frames, records or operations in it. `crossOpen`: what is sealed differs from
 * call to call, so agreement means that each opens what the others made.
 * @typedef {{ suite: string, name: string, kind: string, direction: "seal" | "open", bytes: number, items?: number,
 *   crossOpen?: boolean, options?: Readonly<Record<string, any>> }} Case
 * @typedef {{ suite: string, case: string, kind: string, direction: string, bytes: number, items: number, contender: string,
 *   roundsMs: number[], medianMs: number, gbPerSecond: number, base: boolean, ratio: number, low: number, high: number,
 *   peakRssMb?: number }} Row
 */

export const OURS = "keyladder";

/**
 * @param {Case} case_
 * @param {readonly import("./contender.mjs").Contender[]} contenders ours first
 */
async function agreeing(case_, contenders) {
  const able = [];
  for (const contender of contenders) {
    const answer = await contender.ask({ verb: "prepare", case: case_ });
    if (answer.takesPart) able.push({ contender, ...answer });
  }
  const comparable = able.filter(({ alone }) => !alone);
  for (const { contender, digest } of comparable) {
    for (const other of comparable) {
      const agrees =
        case_.crossOpen === true
          ? (await contender.ask({ verb: "agree", message: other.message })).agrees
          : other.digest === digest;
      if (!agrees) throw new Error(`${contender.name} and ${other.contender.name} do not agree: ${case_.name}`);
    }
  }
  return able.map(({ contender }) => contender);
}

/**
 * @param {Case} case_
 * @param {readonly import("./contender.mjs").Contender[]} contenders the first is whose time the ratios are counted in
 * @param {{ rounds: number, roundMs: number }} effort
 * @returns {Promise<Row[]>} one a contender that takes part
 */
export async function measure(case_, contenders, { rounds, roundMs }) {
  const able = await agreeing(case_, contenders);
  /** @type {Map<string, number[]>} */
  const times = new Map(able.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const contender of round % 2 === 0 ? able : [...able].reverse()) {
      times.get(contender.name)?.push((await contender.ask({ verb: "round", ms: roundMs })).meanMs);
    }
  }
  return rowsOf(case_, times, contenders[0]?.name);
}

/**
 * @param {Omit<Case, "direction"> & { direction: string }} case_
 * @param {ReadonlyMap<string, number[]>} times of each contender, a round each, in ms a call
 * @param {string} [base] whose time the ratios are counted in
 * @returns {Row[]} `ratio`: how many times longer this contender takes than ours
 */
export function rowsOf({ suite, name, kind, direction, bytes, items = 1 }, times, base = OURS) {
  const ours = times.get(base) ?? [];
  return [...times].map(([contender, roundsMs]) => {
    const medianMs = median(roundsMs);
    const gbPerSecond = bytes / 1e6 / medianMs;
    const own = { contender, base: contender === base, roundsMs, medianMs, gbPerSecond };
    return { suite, case: name, kind, direction, bytes, items, ...own, ...ratioOf(roundsMs, ours) };
  });
}
