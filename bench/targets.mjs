/** What the engine is held to. Each is a ratio of throughputs in one run, so that it means the same on another machine. */

import { OURS } from "./harness/measure.mjs";
import { median } from "./harness/statistics.mjs";
import { KIB, MIB, sizeText } from "./suites/sizes.mjs";

/** @typedef {import("./harness/measure.mjs").Row} Row */
/**
 * `atMost`: smaller is better. `aim`: undefined for what is only told.
 * @typedef {{ group: string, text: string, aim: number | undefined, atMost?: boolean, unit?: string,
 *   value: (rows: readonly Row[]) => number | undefined }} Target
 */

/** @param {readonly Row[]} rows @param {string} name of the case @param {string} contender */
const find = (rows, name, contender) => rows.find((row) => row.case === name && row.contender === contender);

/**
 * The median of the rounds' throughput ratios; undefined where one of the two was not measured.
 * @param {readonly Row[]} rows
 * @param {readonly [string, string]} fast case and contender
 * @param {readonly [string, string]} slow
 */
function ratio(rows, fast, slow) {
  const [a, b] = [find(rows, ...fast), find(rows, ...slow)];
  if (a === undefined || b === undefined) return undefined;
  return median(a.roundsMs.map((ms, round) => a.bytes / ms / (b.bytes / (b.roundsMs[round] ?? Number.NaN))));
}

/**
 * The least of several; undefined where none was measured.
 * @param {readonly (number | undefined)[]} values
 */
function least(values) {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

const CIPHER = "create-cipheriv";
const AWS = "aws-esdk";
const NATIVE_FRAMES = "native: frames of 4 KiB, seal 1 MiB";
const SPEED_4096 = /** @type {const} */ (["native: one buffer, seal 4 KiB", "openssl speed"]);

/** @param {readonly string[]} names of cases @param {string} peer @returns {Target["value"]} */
const against = (names, peer) => (rows) => least(names.map((name) => ratio(rows, [name, OURS], [name, peer])));

/** @param {(direction: string) => string} name */
const bothWays = (name) => ["seal", "open"].map(name);

/** @type {readonly Target[]} */
export const TARGETS = [
  ...[
    { kernel: "avx512", aim: 3.6 },
    { kernel: "avx2", aim: 2.2 },
    { kernel: "aesni", aim: 1.35 },
  ].map(({ kernel, aim }) => ({
    group: "Kernels",
    text: `4 KiB frames, ${kernel}, against openssl speed`,
    aim,
    value: (/** @type {readonly Row[]} */ rows) => ratio(rows, [NATIVE_FRAMES, kernel], SPEED_4096),
  })),
  {
    group: "Kernels",
    text: "4 KiB frames, avx512, against Intel ipsec-mb",
    aim: 1,
    value: (rows) => ratio(rows, [NATIVE_FRAMES, "avx512"], [NATIVE_FRAMES, "ipsec-mb"]),
  },
  {
    group: "Kernels",
    text: "16 KiB to 256 KiB, avx512, against the same kernel's CTR alone",
    aim: 0.9,
    value: (rows) =>
      least(
        [16, 64, 256].flatMap((kib) =>
          ["seal", "open"].map((way) => {
            const size = sizeText(kib * KIB);
            return ratio(
              rows,
              [`native: one buffer, ${way} ${size}`, "avx512"],
              [`native: one buffer, ctr ${size}`, "avx512"],
            );
          }),
        ),
      ),
  },
  {
    group: "From Node",
    text: "4 KiB frames, 64 KiB to 16 MiB a batch, against createCipheriv",
    aim: 15,
    value: against(
      [64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB].flatMap((bytes) =>
        bothWays((way) => `frames of 4 KiB, ${way} ${sizeText(bytes)}`),
      ),
      CIPHER,
    ),
  },
  {
    group: "From Node",
    text: "64 MiB in one call, output reused, against createCipheriv",
    aim: 4.5,
    value: against(
      bothWays((way) => `one buffer, ${way} 64 MiB`),
      CIPHER,
    ),
  },
  {
    group: "From Node",
    text: "one record of 64 B in an arena, against createCipheriv",
    aim: 40,
    value: against(
      bothWays((way) => `one record of 64 B in an arena, ${way}`),
      CIPHER,
    ),
  },
  ...[
    { size: "64 B", aim: 350 },
    { size: "256 B", aim: 120 },
    { size: "1 KiB", aim: 38 },
  ].map(({ size, aim }) => ({
    group: "From Node",
    text: `batches of 1000 records of ${size}, against createCipheriv`,
    aim,
    value: against(
      bothWays((way) => `1000 records of ${size}, ${way}`),
      CIPHER,
    ),
  })),
  {
    group: "From Node",
    text: "ladder.records, 1000 x 64 B, nonces included, against createCipheriv",
    aim: 150,
    value: against(
      bothWays((way) => `ladder.records, 1000 of 64 B, ${way}`),
      CIPHER,
    ),
  },
  {
    group: "From Node",
    text: "2 million NDJSON rows in a pipe, against a script with createCipheriv",
    aim: 10,
    value: (rows) => find(rows, "2 million rows, one field, sealed and opened", CIPHER)?.ratio,
  },
  ...["encrypt", "decrypt"].flatMap((verb) => [
    {
      group: "Messages",
      text: `${verb} 100 MiB, output reused, against the AWS Encryption SDK`,
      aim: 20,
      value: against([`${verb} 100 MiB, output reused`], AWS),
    },
    {
      group: "Messages",
      text: `${verb} 1 KiB, data key cached, against the AWS Encryption SDK`,
      aim: 40,
      value: against([`${verb} 1 KiB, data key cached`], AWS),
    },
  ]),
  {
    group: "Files and threads",
    text: "two threads against one, 1 MiB of frames for each",
    aim: 1.85,
    value: (rows) => ratio(rows, ["pool: frames, seal 2 MiB", "two-threads"], ["pool: frames, seal 2 MiB", OURS]),
  },
  {
    group: "Files and threads",
    text: "encryptFile of 1 GiB, wall time of cp and sync",
    aim: 1.25,
    atMost: true,
    value: (rows) => ratio(rows, ["encrypt a file of 1 GiB", "cp + sync"], ["encrypt a file of 1 GiB", OURS]),
  },
  {
    group: "Files and threads",
    text: "encryptFile of 1 GiB, against age",
    aim: 1,
    value: (rows) => ratio(rows, ["encrypt a file of 1 GiB", OURS], ["encrypt a file of 1 GiB", "age"]),
  },
  {
    group: "Files and threads",
    text: "encryptFile of 1 GiB, peak resident memory",
    aim: 200,
    atMost: true,
    unit: " MB",
    value: (rows) => find(rows, "encrypt a file of 1 GiB", OURS)?.peakRssMb,
  },
];

/** @param {readonly Row[]} rows @returns what was measured, each with whether it is met */
export function judged(rows) {
  return TARGETS.flatMap(({ value, ...target }) => {
    const measured = value(rows);
    if (measured === undefined || Number.isNaN(measured)) return [];
    const met = target.aim === undefined || (target.atMost ? measured <= target.aim : measured >= target.aim);
    return [{ ...target, measured, met }];
  });
}
