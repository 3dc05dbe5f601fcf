/** What a second thread brings: one message's frames in one call, and a whole message. */

import { FRAME_BYTES } from "../harness/frame-loop.mjs";
import { KIB, MIB, sizeText } from "./sizes.mjs";

/** @typedef {import("../harness/measure.mjs").Case} Case */

/** @type {Case[]} */
const frames = [256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB, 16 * MIB].flatMap((bytes) =>
  /** @type {const} */ (["seal", "open"]).map((direction) => ({
    suite: "pool",
    name: `pool: frames, ${direction} ${sizeText(bytes)}`,
    kind: "frames",
    direction,
    bytes,
    items: bytes / FRAME_BYTES,
  })),
);

/** @type {Case[]} */
const messages = /** @type {const} */ ([
  ["encrypt", "seal"],
  ["decrypt", "open"],
]).map(([verb, direction]) => ({
  suite: "pool",
  name: `pool: ${verb} 100 MiB, output reused`,
  kind: "messages",
  direction,
  bytes: 100 * MIB,
  crossOpen: true,
  options: { suite: 0x0478, cached: false, reused: true },
}));

export const SUITES = [
  {
    name: "pool",
    title: "Two threads",
    about: "The same batch by the calling thread and one of the pool. From some 16 MiB on, memory is what they share.",
    ours: "two-threads",
    peers: ["keyladder"],
    cases: [...frames, ...messages],
  },
];
