/** What a key costs: made, fetched through the ladder, or found in the cache. No peer does the same work. */

import { KIB } from "./sizes.mjs";

/** @typedef {import("../harness/measure.mjs").Case} Case */

/** @type {Case[]} */
const messages = [true, false].flatMap((cached) =>
  /** @type {const} */ ([
    ["encrypt", "seal"],
    ["decrypt", "open"],
  ]).map(([verb, direction]) => ({
    suite: "ladder",
    name: `ladder: ${verb} 1 KiB, data key ${cached ? "cached" : "through all four rungs"}`,
    kind: "ladder",
    direction,
    bytes: KIB,
    crossOpen: true,
    options: { operation: "message", cached },
  })),
);

export const SUITES = [
  {
    name: "ladder",
    title: "The ladder",
    about: "Software token, SQLite store with an fsync per commit. One contender: nobody else has the same rungs.",
    peers: [],
    cases: [
      .../** @type {Case[]} */ ([
        {
          suite: "ladder",
          name: "ladder: create a key",
          kind: "ladder",
          direction: "seal",
          bytes: 0,
          options: { operation: "create" },
        },
      ]),
      ...messages,
    ],
  },
];
