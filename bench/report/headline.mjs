/** The few figures that are shown first. Each is there only if it was measured. */

import { ratioText, timeText } from "./names.mjs";

/** @typedef {import("../harness/measure.mjs").Row} Row */

/** @param {readonly Row[]} rows @param {string} name @param {string} contender */
export const rowOf = (rows, name, contender) => rows.find((row) => row.case === name && row.contender === contender);

/** @param {readonly Row[]} rows */
function bestSpeed(rows) {
  const own = ["avx512", "avx2", "aesni", "keyladder"].flatMap((contender) =>
    ["native: frames of 4 KiB, seal 256 KiB", "frames of 4 KiB, seal 256 KiB"].map((name) =>
      rowOf(rows, name, contender),
    ),
  );
  return own.find((row) => row !== undefined);
}

/** @param {readonly Row[]} rows @returns {{ value: string, text: string }[]} */
export function tiles(rows) {
  const shown = [];
  const speed = bestSpeed(rows);
  if (speed !== undefined) {
    shown.push({ value: `${speed.gbPerSecond.toFixed(1)} GB/s`, text: "4 KiB frames sealed on one core" });
  }
  for (const [name, peer, text] of /** @type {const} */ ([
    ["encrypt 100 MiB, output reused", "aws-esdk", "the AWS Encryption SDK, encrypting 100 MiB"],
    ["encrypt 1 KiB, data key cached", "aws-esdk", "the AWS Encryption SDK, a message of 1 KiB, data key cached"],
    ["1000 records of 64 B, seal", "create-cipheriv", "createCipheriv, a thousand records of 64 B"],
    ["encrypt a file of 1 GiB", "age", "age, a file of 1 GiB, on the disk when done"],
  ])) {
    const row = rowOf(rows, name, peer);
    if (row !== undefined) shown.push({ value: ratioText(row.ratio), text });
  }
  const created = rowOf(rows, "ladder: encrypt 1 KiB, data key through all four rungs", "keyladder");
  if (shown.length < 5 && created !== undefined) {
    shown.push({ value: timeText(created.medianMs), text: "to encrypt 1 KiB through all four rungs" });
  }
  return shown;
}

/** @param {readonly Row[]} rows */
export function headline(rows) {
  const large = rowOf(rows, "encrypt 100 MiB, output reused", "aws-esdk");
  const speed = bestSpeed(rows);
  const first = large === undefined ? undefined : `${large.ratio.toFixed(0)}× the AWS Encryption SDK`;
  const second = speed === undefined ? undefined : `${speed.gbPerSecond.toFixed(0)} GB/s on one core`;
  const parts = [first, second].filter((part) => part !== undefined);
  return parts.length === 0 ? "How fast, and against whom" : `${parts.join(", ")}.`;
}
