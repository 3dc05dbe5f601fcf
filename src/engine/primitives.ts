/** What messages and raw keyrings need besides the bulk AEAD: random bytes, one GCM call, ECDSA, RSA. Node only. */

import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPublicKey,
  createSign,
  createVerify,
  ECDH,
  generateKeyPairSync,
  hash,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomFillSync,
} from "node:crypto";
import { type Bytes, concat, lengthPrefixed, u16, wipe, writeU32 } from "../bytes.js";
import { MAX_CALL_BYTES, NONCE_BYTES, TAG_BYTES } from "../message/limits.js";
import type { CurveName, HashName } from "../message/suites.js";
import type { SecretBytes } from "./secret-bytes.js";

/** From the operating system's generator, by way of OpenSSL's. */
export function randomBytes(bytes: number): Bytes {
  return randomFillSync(new Uint8Array(bytes));
}

/** Fills `bytes` from the same generator. */
export function fillRandom(bytes: Uint8Array): void {
  randomFillSync(bytes);
}

const POOL_BYTES = 4096;
let pool = new Uint8Array(0);
let poolAt = 0;

/** Random bytes that are public, such as message ids: drawn in bulk, at a hundredth of the cost of one draw each. */
export function randomId(bytes: number): Bytes {
  if (poolAt + bytes > pool.length) {
    pool = randomFillSync(new Uint8Array(POOL_BYTES));
    poolAt = 0;
  }
  poolAt += bytes;
  return pool.slice(poolAt - bytes, poolAt);
}

const scratch = Buffer.alloc(1024);

/**
 * Text to look fields up by, the same for the same fields only: short ones as they are, each behind its length, long
 * ones as a digest of that. A short one begins with a zero byte, a digest with "#".
 */
export function fieldsText(fields: readonly Uint8Array[]): string {
  let length = 4 * fields.length;
  for (const field of fields) length += field.length;
  if (length > scratch.length) return `#${hash("sha512", lengthPrefixed(fields), "base64")}`;
  let at = 0;
  for (const field of fields) {
    writeU32(scratch, at, field.length);
    scratch.set(field, at + 4);
    at += 4 + field.length;
  }
  return scratch.toString("latin1", 0, length);
}

const gcmName = (keyBytes: number) => `aes-${8 * keyBytes}-gcm` as "aes-256-gcm";

/** AES-GCM: ciphertext, then the 16-byte tag. */
export function gcmSeal(key: SecretBytes, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Bytes {
  const cipher = key.use((bytes) => createCipheriv(gcmName(bytes.length), bytes, nonce, { authTagLength: TAG_BYTES }));
  cipher.setAAD(aad);
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return concat(ciphertext, cipher.getAuthTag());
}

/** Opens what `gcmSeal` made; undefined where the tag does not verify. The caller owns, and wipes, what returns. */
export function gcmOpen(key: SecretBytes, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Bytes | undefined {
  if (sealed.length < TAG_BYTES || nonce.length !== NONCE_BYTES) return undefined;
  const tagAt = sealed.length - TAG_BYTES;
  const decipher = key.use((bytes) =>
    createDecipheriv(gcmName(bytes.length), bytes, nonce, { authTagLength: TAG_BYTES }),
  );
  decipher.setAAD(aad).setAuthTag(sealed.subarray(tagAt));
  const plaintext = decipher.update(sealed.subarray(0, tagAt));
  try {
    decipher.final();
    return new Uint8Array(plaintext);
  } catch {
    return undefined; // the tag does not verify: node:crypto says so by throwing, and for no other reason here
  } finally {
    wipe(plaintext);
  }
}

/** OpenSSL's curve name, the hash that goes with the curve, its coordinate bytes, and its SPKI prefix (RFC 5480). */
const CURVES: Readonly<Record<CurveName, { group: string; hash: HashName; bytes: number; spki: string }>> = {
  p256: {
    group: "prime256v1",
    hash: "sha256",
    bytes: 32,
    spki: "3059301306072a8648ce3d020106082a8648ce3d030107034200",
  },
  p384: { group: "secp384r1", hash: "sha384", bytes: 48, spki: "3076301006072a8648ce3d020106052b81040022036200" },
};

/** Feeds a running hash. */
function updateAll(hash: { update(bytes: Uint8Array): unknown }, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += MAX_CALL_BYTES) hash.update(bytes.subarray(at, at + MAX_CALL_BYTES));
}

/** A message's signing key: used for one message, then forgotten. */
export interface MessageSigner {
  /** SEC1 compressed point: 33 bytes (P-256) or 49 (P-384). */
  readonly publicKey: Bytes;
  update(bytes: Uint8Array): void;
  /** DER ECDSA-Sig-Value. */
  sign(): Bytes;
}

/** A fresh key pair, and the running hash of what it will sign. */
export function messageSigner(curve: CurveName): MessageSigner {
  const { group, hash: hashName } = CURVES[curve];
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: group });
  const { x, y } = publicKey.export({ format: "jwk" });
  const point = concat(Uint8Array.of(4), Buffer.from(x as string, "base64url"), Buffer.from(y as string, "base64url"));
  const signing = createSign(hashName);
  return {
    publicKey: new Uint8Array(ECDH.convertKey(point, group, undefined, undefined, "compressed") as Buffer),
    update: (bytes) => updateAll(signing, bytes),
    sign: () => new Uint8Array(signing.sign(privateKey)),
  };
}

/** The running check of a message's signature. */
export interface MessageVerifier {
  update(bytes: Uint8Array): void;
  /** Any DER the key's owner made, of whatever length. */
  verifies(signature: Uint8Array): boolean;
}

/** @param publicKey SEC1 point, compressed or not; undefined returns where it is no point of the curve */
export function messageVerifier(curve: CurveName, publicKey: Uint8Array): MessageVerifier | undefined {
  const { group, hash: hashName, bytes, spki } = CURVES[curve];
  let key: KeyObject;
  try {
    const point = ECDH.convertKey(publicKey, group, undefined, undefined, "uncompressed") as Buffer;
    if (point.length !== 1 + 2 * bytes) return undefined;
    key = createPublicKey({ key: Buffer.concat([Buffer.from(spki, "hex"), point]), format: "der", type: "spki" });
  } catch {
    return undefined; // OpenSSL refuses the point
  }
  const verifying = createVerify(hashName);
  return {
    update: (data) => updateAll(verifying, data),
    verifies: (signature) => verifying.verify(key, signature),
  };
}

/** RSA-OAEP (RFC 8017 7.1): MGF1 with the same hash, empty label. */
export function rsaOaepEncrypt(key: KeyObject, oaepHash: string, plaintext: Uint8Array): Bytes {
  return new Uint8Array(publicEncrypt({ key, oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING }, plaintext));
}

function modulusBytesOf(key: KeyObject): number {
  return Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
}

/** Undefined where the padding does not verify, or the length is not the modulus's (RFC 8017 7.1.2). */
export function rsaOaepDecrypt(key: KeyObject, oaepHash: string, ciphertext: Uint8Array): Bytes | undefined {
  if (ciphertext.length !== modulusBytesOf(key)) return undefined; // OpenSSL forgives a missing leading zero
  try {
    const plaintext = privateDecrypt({ key, oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING }, ciphertext);
    const copy = new Uint8Array(plaintext);
    wipe(plaintext);
    return copy;
  } catch {
    return undefined; // OpenSSL tells a bad padding by throwing
  }
}

/**
 * RSA PKCS#1 v1.5 with implicit rejection: what returns always has `bytes` bytes. Where the padding or the length is
 * wrong it is a pseudo-random key, the same for the same ciphertext, and fails later at the commitment or tag like any
 * wrong key; nothing here branches on the padding (ladder rule 13; RFC 8017 7.2.2, and its note on Bleichenbacher).
 * @param secret 32 bytes that no attacker knows, from which rejected ciphertexts derive their key
 */
export function rsaPkcs1Decrypt(key: KeyObject, secret: Uint8Array, ciphertext: Uint8Array, bytes: number): Bytes {
  const rejected = new Uint8Array(
    createHmac("sha256", secret).update(u16(bytes)).update(ciphertext).digest().subarray(0, bytes),
  );
  const modulusBytes = modulusBytesOf(key);
  const block = rawBlock(key, ciphertext, modulusBytes);
  if (block === undefined) return rejected;
  const separatorAt = modulusBytes - bytes - 1;
  // 00 02, non-zero padding, 00, then exactly `bytes`: every position is looked at, whatever the ones before it hold.
  let wrong = (block[0] as number) | ((block[1] as number) ^ 2) | (block[separatorAt] as number);
  for (let i = 2; i < separatorAt; i++) wrong |= 1 & (((block[i] as number) - 1) >>> 31);
  const keep = ((wrong | -wrong) >> 31) & 0xff;
  const out = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) {
    out[i] = ((rejected[i] as number) & keep) | ((block[separatorAt + 1 + i] as number) & ~keep);
  }
  wipe(block, rejected);
  return out;
}

/** The RSA private operation without padding; undefined where the ciphertext is no number below the modulus (public). */
function rawBlock(key: KeyObject, ciphertext: Uint8Array, modulusBytes: number): Buffer | undefined {
  if (ciphertext.length !== modulusBytes) return undefined;
  try {
    const block = privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, ciphertext);
    return block.length === modulusBytes ? block : undefined;
  } catch {
    return undefined; // not below the modulus
  }
}
