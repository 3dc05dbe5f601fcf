/** AES key wrap without and with padding (RFC 3394, RFC 5649; SP 800-38F 6.2, 6.3), through OpenSSL. */

import { createCipheriv, createDecipheriv, type KeyObject } from "node:crypto";
import { type Bytes, wipe } from "../../bytes.js";
import { InputError } from "../../errors.js";
import type { WrapFormat } from "../port.js";

/** The initial values: RFC 3394 2.2.3.1, RFC 5649 3. OpenSSL appends the length to the second itself. */
const INITIAL_VALUES: Readonly<Record<WrapFormat, Uint8Array>> = {
  rfc3394: Uint8Array.of(0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6),
  rfc5649: Uint8Array.of(0xa6, 0x59, 0x59, 0xa6),
};

const SEMIBLOCK_BYTES = 8;
/** Far above any key, far below OpenSSL's own bound of 2^31. */
const MAX_WRAPPED_BYTES = 1 << 20;

function cipherName(format: WrapFormat, key: KeyObject): string {
  return `id-aes${8 * (key.symmetricKeySize ?? 0)}-wrap${format === "rfc5649" ? "-pad" : ""}`;
}

function canWrap(format: WrapFormat, bytes: number): boolean {
  if (format === "rfc5649") return bytes >= 1 && bytes <= MAX_WRAPPED_BYTES;
  return bytes >= 2 * SEMIBLOCK_BYTES && bytes % SEMIBLOCK_BYTES === 0 && bytes <= MAX_WRAPPED_BYTES;
}

/**
 * Wraps `secret` under `key` (16, 24 or 32 bytes). RFC 3394 takes multiples of 8 bytes from 16, RFC 5649 any length from 1.
 * `secret` is borrowed: wiping it stays the caller's job.
 * @returns RFC 3394: 8 bytes more than `secret`; RFC 5649: 8 more than `secret` padded to a multiple of 8
 * @throws InputError ERR_INPUT for a length the format cannot carry
 */
export function wrapKey(format: WrapFormat, key: KeyObject, secret: Uint8Array): Bytes {
  if (!canWrap(format, secret.length)) {
    throw new InputError("ERR_INPUT", `${format} cannot wrap a key of ${secret.length} bytes`);
  }
  const cipher = createCipheriv(cipherName(format, key), key, INITIAL_VALUES[format]);
  const wrapped = cipher.update(secret);
  cipher.final();
  return new Uint8Array(wrapped);
}

/**
 * Unwraps what `wrapKey` made. The caller owns, and wipes, what returns.
 * @returns undefined where the integrity check fails, or where no blob of the format has this length
 */
export function unwrapKey(format: WrapFormat, key: KeyObject, blob: Uint8Array): Bytes | undefined {
  const least = format === "rfc5649" ? 2 * SEMIBLOCK_BYTES : 3 * SEMIBLOCK_BYTES;
  if (blob.length < least || blob.length % SEMIBLOCK_BYTES !== 0) return undefined;
  if (blob.length > MAX_WRAPPED_BYTES + SEMIBLOCK_BYTES) return undefined;
  let secret: Buffer | undefined;
  try {
    const decipher = createDecipheriv(cipherName(format, key), key, INITIAL_VALUES[format]);
    secret = decipher.update(blob);
    decipher.final();
    return secret.length === 0 ? undefined : new Uint8Array(secret);
  } catch {
    return undefined; // the integrity check failed: OpenSSL says so by throwing
  } finally {
    wipe(secret);
  }
}
