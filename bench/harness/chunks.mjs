/** Streams, fed as a socket or a file would feed them. */

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

const CHUNK_BYTES = 64 * 1024;

/** Views, no copies. @param {Uint8Array} bytes */
function* chunksOf(bytes) {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

/** What comes out of the transform, in parts. @param {Uint8Array} input @param {any} transform */
export async function through(input, transform) {
  /** @type {Uint8Array[]} */
  const parts = [];
  await pipeline(Readable.from(chunksOf(input)), transform, async (/** @type {AsyncIterable<Uint8Array>} */ output) => {
    for await (const part of output) parts.push(part);
  });
  return parts;
}
