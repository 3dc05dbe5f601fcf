/** What every contender is given: the same key, nonce, context and plaintext in every process. */

import { hkdfSync } from "node:crypto";

/** @param {string} purpose @param {number} bytes */
const derived = (purpose, bytes) => new Uint8Array(hkdfSync("sha256", "bench", "", purpose, bytes));

export const KEY = derived("key", 32);
export const NONCE = derived("nonce", 12);
export const MESSAGE_ID = derived("message id", 16);
export const CONTEXT = Object.freeze({ purpose: "bench" });
export const KEY_NAME = Object.freeze({ namespace: "bench", name: "raw-aes-256" });

/** Bytes that no compression or zero page shortens. @param {number} bytes */
export function plaintextOf(bytes) {
  const plaintext = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) plaintext[i] = Math.imul(i ^ (i >>> 13), 2654435761) >>> 24;
  return plaintext;
}

/** One nonce a record; fixed, so that every contender must write the same bytes. @param {number} count */
export function noncesOf(count) {
  const nonces = plaintextOf(12 * count);
  for (let i = 0; i < count; i++) new DataView(nonces.buffer).setUint32(12 * i, i);
  return nonces;
}
