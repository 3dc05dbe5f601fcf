/** AES-256-GCM itself, asked for from Node: one buffer, the frames of a message, records. */

import { FRAME_BYTES } from "../harness/frame-loop.mjs";
import { KIB, MIB, sizeText } from "./sizes.mjs";

const DIRECTIONS = /** @type {const} */ (["seal", "open"]);
const BATCH = 1000;

/** @typedef {import("../harness/measure.mjs").Case} Case */

/** @type {Case[]} */
const oneBuffer = [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 16 * MIB, 64 * MIB].flatMap((bytes) =>
  DIRECTIONS.map((direction) => ({
    suite: "buffer",
    name: `one buffer, ${direction} ${sizeText(bytes)}`,
    kind: "aead",
    direction,
    bytes,
  })),
);

/** @type {Case[]} */
const frames = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB].flatMap((bytes) =>
  DIRECTIONS.map((direction) => ({
    suite: "frames",
    name: `frames of 4 KiB, ${direction} ${sizeText(bytes)}`,
    kind: "frames",
    direction,
    bytes,
    items: bytes / FRAME_BYTES,
  })),
);

/** @type {Case[]} */
const records = [1, BATCH].flatMap((items) =>
  [64, 256, KIB].flatMap((recordBytes) =>
    DIRECTIONS.map((direction) => ({
      suite: "records",
      name: `${items === 1 ? "one record" : `${items} records`} of ${sizeText(recordBytes)}, ${direction}`,
      kind: "records",
      direction,
      bytes: items * recordBytes,
      items,
    })),
  ),
);

/** Source, output and nonce in one array that stays: the shortest way a single small value can take. @type {Case[]} */
const arena = [64, 256, KIB].flatMap((bytes) =>
  DIRECTIONS.map((direction) => ({
    suite: "records",
    name: `one record of ${sizeText(bytes)} in an arena, ${direction}`,
    kind: "arena",
    direction,
    bytes,
  })),
);

/** The public way: a keyset from the store, nonces and quota included. @type {Case[]} */
const keyset = [64, 256, KIB].flatMap((recordBytes) =>
  DIRECTIONS.map((direction) => ({
    suite: "records",
    name: `ladder.records, ${BATCH} of ${sizeText(recordBytes)}, ${direction}`,
    kind: "keyset",
    direction,
    bytes: BATCH * recordBytes,
    items: BATCH,
  })),
);

const PEERS = ["create-cipheriv", "webcrypto", "noble", "libsodium"];

export const SUITES = [
  {
    name: "buffer",
    title: "One buffer",
    about: "AES-256-GCM over one buffer, key set up once, the output reused by whoever can.",
    peers: PEERS,
    cases: oneBuffer,
  },
  {
    name: "frames",
    title: "Frames of a message",
    about: "A batch of 4096-byte frames, each with its own nonce, 56 bytes of associated data and tag, in wire form.",
    peers: PEERS,
    cases: frames,
  },
  {
    name: "records",
    title: "Records",
    about: "Small fields in the Tink wire format under one key: one a call, and a thousand a call.",
    peers: PEERS,
    cases: [...arena, ...records, ...keyset],
  },
];
