/** AES-256-GCM and HMAC-SHA-256 under a key that stays a KeyObject. */

import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  type KeyObject,
  randomFillSync,
  timingSafeEqual,
} from "node:crypto";
import { type Bytes, concat, wipe } from "../../bytes.js";
import type { SealedDataKey } from "../port.js";

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** AES-256-GCM (SP 800-38D 7.1) under a fresh random 12-byte IV. Inputs are borrowed. */
export function sealDataKey(kek: KeyObject, dataKey: Uint8Array, aad: Uint8Array): SealedDataKey {
  const iv = randomFillSync(new Uint8Array(IV_BYTES));
  const cipher = createCipheriv("aes-256-gcm", kek, iv, { authTagLength: TAG_BYTES }).setAAD(aad);
  const ciphertext = cipher.update(dataKey);
  cipher.final();
  return { iv, ciphertext: concat(ciphertext, cipher.getAuthTag()) };
}

/**
 * Opens what `sealDataKey` made, or another token with a 16-byte IV (SP 800-38D 7.2). The caller wipes what returns.
 * @returns undefined where the tag does not verify, or where iv or ciphertext have lengths no sealed data key has
 */
export function openDataKey(kek: KeyObject, sealed: SealedDataKey, aad: Uint8Array): Bytes | undefined {
  const { iv, ciphertext } = sealed;
  const tagAt = ciphertext.length - TAG_BYTES;
  if ((iv.length !== IV_BYTES && iv.length !== 16) || (tagAt !== 16 && tagAt !== 24 && tagAt !== 32)) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", kek, iv, { authTagLength: TAG_BYTES })
    .setAAD(aad)
    .setAuthTag(ciphertext.subarray(tagAt));
  const plaintext = decipher.update(ciphertext.subarray(0, tagAt));
  try {
    decipher.final();
    return new Uint8Array(plaintext);
  } catch {
    return undefined; // the tag does not verify: node:crypto says so by throwing
  } finally {
    wipe(plaintext);
  }
}

/** HMAC-SHA-256 (RFC 2104): 32 bytes. */
export function hmacSha256(key: KeyObject, data: Uint8Array): Bytes {
  return new Uint8Array(createHmac("sha256", key).update(data).digest());
}

/** Compared in constant time; a tag of another length than 32 bytes never verifies. */
export function hmacVerifies(key: KeyObject, data: Uint8Array, tag: Uint8Array): boolean {
  const expected = hmacSha256(key, data);
  return tag.length === expected.length && timingSafeEqual(expected, tag);
}
