/** Whole messages and streams: a raw AES-256 keyring, frames of 4096 bytes, one context pair. */

import { KIB, MIB, sizeText } from "./sizes.mjs";

/** @typedef {import("../harness/measure.mjs").Case} Case */

const WRITABLE_SUITES = [0x0478, 0x0578];
const PEERS = ["aws-esdk"];
const VERBS = /** @type {const} */ ([
  ["encrypt", "seal"],
  ["decrypt", "open"],
]);

/** @param {number} suite */
const suiteText = (suite) => (suite === 0x0578 ? ", signed" : "");

/** @type {Case[]} */
const messages = WRITABLE_SUITES.flatMap((suite) =>
  [
    { bytes: KIB, cached: true },
    { bytes: KIB },
    { bytes: MIB },
    { bytes: MIB, reused: true },
    { bytes: 100 * MIB },
    { bytes: 100 * MIB, reused: true },
  ].flatMap(({ bytes, cached = false, reused = false }) =>
    VERBS.map(([verb, direction]) => ({
      suite: "messages",
      name: `${verb} ${sizeText(bytes)}${cached ? ", data key cached" : ""}${reused ? ", output reused" : ""}${suiteText(suite)}`,
      kind: "messages",
      direction,
      bytes,
      crossOpen: true,
      options: { suite, cached, reused },
    })),
  ),
);

/** @type {Case[]} */
const streams = VERBS.map(([verb, direction]) => ({
  suite: "streams",
  name: `${verb} a stream of ${sizeText(64 * MIB)}`,
  kind: "streams",
  direction,
  bytes: 64 * MIB,
  crossOpen: true,
  options: { suite: 0x0478 },
}));

export const SUITES = [
  {
    name: "messages",
    title: "Whole messages",
    about: "AWS Encryption SDK messages: header, data key, frames, tags. Suite 0x0478; signed: 0x0578.",
    peers: PEERS,
    cases: messages,
  },
  {
    name: "streams",
    title: "Streams",
    about: "The same messages through Node's pipeline, in chunks of 64 KiB.",
    peers: PEERS,
    cases: streams,
  },
];
