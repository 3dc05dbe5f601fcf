/** Medians, and the ratios of rounds that ran side by side. */

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/**
 * The median of the rounds' ratios, and the middle half they lie in.
 * @param {readonly number[]} times of one contender, a round each
 * @param {readonly number[]} base of the other, the same rounds
 */
export function ratioOf(times, base) {
  const ratios = times.map((ms, round) => ms / (base[round] ?? Number.NaN)).sort((a, b) => a - b);
  const at = (/** @type {number} */ share) => ratios[Math.round(share * (ratios.length - 1))] ?? Number.NaN;
  return { ratio: median(ratios), low: at(0.25), high: at(0.75) };
}
