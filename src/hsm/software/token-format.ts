/**
 * The token file, byte by byte (integers big-endian):
 *
 *     header  L("keyladder/software-token") | version u8 = 1
 *             kdf u8: 1 scrypt: log2 N u8 | r u8 | p u8 | salt 32
 *                     2 key file: salt 32
 *             nonce 12 | sealed length u32
 *     sealed  AES-256-GCM under the derived key: the contents, then a 16-byte tag; the AAD is the whole header
 *
 * Nothing follows. Every write takes a fresh random nonce; a token is written far less than 2^32 times (SP 800-38D 8.3).
 */

import { createCipheriv, createDecipheriv, type KeyObject, randomFillSync } from "node:crypto";
import { type Bytes, concat, copyOf, label, readU32, u32, wipe } from "../../bytes.js";
import { FormatError, HsmError } from "../../errors.js";
import { checkCost, type Kdf, SALT_BYTES } from "./file-key.js";
import { decodeContents, encodeContents, type TokenContents } from "./token-contents.js";

const MAGIC = label("keyladder/software-token");
const VERSION = 1;
const KDF_SCRYPT = 1;
const KDF_KEY_FILE = 2;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Room for some 300,000 resident CMKs; checked before a file is read into memory. */
export const MAX_TOKEN_FILE_BYTES = 1 << 24;

/** A token file, parsed but not yet opened: nothing in it is to be trusted. */
export interface SealedToken {
  readonly kdf: Kdf;
  readonly header: Uint8Array;
  readonly nonce: Uint8Array;
  readonly sealed: Uint8Array;
}

/**
 * Parses the clear part. No key is needed, nothing is derived.
 * @throws FormatError ERR_TRUNCATED, ERR_TRAILING_BYTES, ERR_UNSUPPORTED_VERSION · ERR_FORMAT where it is no token file,
 *   or asks for a key derivation that is unknown or out of bounds
 */
export function parseToken(bytes: Uint8Array): SealedToken {
  let at = 0;
  const take = (length: number): Uint8Array => {
    if (bytes.length - at < length) throw truncated(bytes.length);
    at += length;
    return bytes.subarray(at - length, at);
  };
  const common = Math.min(bytes.length, MAGIC.length);
  for (let i = 0; i < common; i++) {
    if (bytes[i] !== MAGIC[i]) throw new FormatError("ERR_FORMAT", "this is not a token file", { offset: i });
  }
  take(MAGIC.length);
  const version = take(1)[0];
  if (version !== VERSION) {
    throw new FormatError("ERR_UNSUPPORTED_VERSION", `the token file is of version ${version}, expected ${VERSION}`);
  }
  const kdf = parseKdf(take);
  const nonce = take(NONCE_BYTES);
  const sealedBytes = readU32(take(4), 0);
  const header = bytes.subarray(0, at);
  if (sealedBytes < TAG_BYTES) throw new FormatError("ERR_FORMAT", "the token file's sealed part is too short");
  const sealed = take(sealedBytes);
  if (at !== bytes.length) {
    throw new FormatError("ERR_TRAILING_BYTES", `the token file has ${bytes.length - at} bytes too many`, {
      offset: at,
    });
  }
  return { kdf, header, nonce, sealed };
}

function parseKdf(take: (length: number) => Uint8Array): Kdf {
  const kind = take(1)[0];
  if (kind === KDF_KEY_FILE) return { kind: "key-file", salt: copyOf(take(SALT_BYTES)) };
  if (kind !== KDF_SCRYPT)
    throw new FormatError("ERR_FORMAT", `the token file asks for key derivation ${kind}, unknown`);
  const [log2N, r, p] = take(3) as unknown as readonly [number, number, number];
  const cost = { log2N, r, p };
  checkCost(cost);
  return { kind: "scrypt", ...cost, salt: copyOf(take(SALT_BYTES)) };
}

function truncated(length: number): FormatError {
  return new FormatError("ERR_TRUNCATED", "the token file is cut short", { offset: length });
}

function encodeKdf(kdf: Kdf): Bytes {
  if (kdf.kind === "key-file") return concat(Uint8Array.of(KDF_KEY_FILE), kdf.salt);
  return concat(Uint8Array.of(KDF_SCRYPT, kdf.log2N, kdf.r, kdf.p), kdf.salt);
}

/** The whole file. @param fileKey the key derived by `kdf` */
export function sealToken(kdf: Kdf, fileKey: KeyObject, contents: TokenContents): Bytes {
  const plaintext = encodeContents(contents);
  try {
    const nonce = randomFillSync(new Uint8Array(NONCE_BYTES));
    const sealedBytes = plaintext.length + TAG_BYTES;
    const header = concat(MAGIC, Uint8Array.of(VERSION), encodeKdf(kdf), nonce, u32(sealedBytes));
    const cipher = createCipheriv("aes-256-gcm", fileKey, nonce, { authTagLength: TAG_BYTES }).setAAD(header);
    const ciphertext = cipher.update(plaintext);
    cipher.final();
    return concat(header, ciphertext, cipher.getAuthTag());
  } finally {
    wipe(plaintext);
  }
}

/**
 * @throws HsmError ERR_PASSPHRASE where the tag does not verify: another key, or another file · FormatError ERR_FORMAT
 *   where what was sealed is not what this version seals
 */
export function openToken(token: SealedToken, fileKey: KeyObject): TokenContents {
  const tagAt = token.sealed.length - TAG_BYTES;
  const decipher = createDecipheriv("aes-256-gcm", fileKey, token.nonce, { authTagLength: TAG_BYTES })
    .setAAD(token.header)
    .setAuthTag(token.sealed.subarray(tagAt));
  const plaintext = decipher.update(token.sealed.subarray(0, tagAt));
  try {
    verifyTag(decipher);
    return decodeContents(plaintext);
  } finally {
    wipe(plaintext);
  }
}

function verifyTag(decipher: { final(): Buffer }): void {
  try {
    decipher.final();
  } catch {
    // No cause: OpenSSL has nothing to add, and the two cases must read the same.
    throw new HsmError("ERR_PASSPHRASE", "wrong passphrase (or key file), or the token file was changed");
  }
}
