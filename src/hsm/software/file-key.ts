/** The key that seals a token file: from a passphrase by scrypt (RFC 7914), or from a key file by HKDF (RFC 5869). */

import { createSecretKey, hkdfSync, type KeyObject, randomFillSync, scrypt } from "node:crypto";
import { ascii, type Bytes, wipe } from "../../bytes.js";
import { FormatError } from "../../errors.js";

export const SALT_BYTES = 32;
const FILE_KEY_BYTES = 32;

/** Memory is 128 * 2^log2N * r bytes. */
export interface ScryptCost {
  readonly log2N: number;
  readonly r: number;
  readonly p: number;
}

/** How the key of a token file is derived: stored in its header, in the clear, authenticated with the rest. */
export type Kdf =
  | ({ readonly kind: "scrypt"; readonly salt: Uint8Array } & ScryptCost)
  | { readonly kind: "key-file"; readonly salt: Uint8Array };

/** 128 MiB, about half a second: OWASP's recommendation for scrypt. */
export const DEFAULT_COST: ScryptCost = Object.freeze({ log2N: 17, r: 8, p: 1 });

/**
 * What a token file may ask for at least. AES-GCM commits to no key: a hostile file can be made to open under many
 * passphrases at once, so that whether it opens tells of each (a partitioning oracle). That costs its maker one
 * derivation for each passphrase, which must not be cheap. 16 MiB, about 50 ms.
 */
const MIN_COST: ScryptCost = Object.freeze({ log2N: 14, r: 8, p: 1 });
/** What a token file may ask for at most: a hostile one must not make its reader allocate or compute without bound. */
const MAX_COST: ScryptCost = Object.freeze({ log2N: 20, r: 16, p: 16 });
const MAX_SCRYPT_MEMORY = 2 ** 30;

const KEY_FILE_INFO = ascii("keyladder/software-token/key-file/v1");

export function freshSalt(): Bytes {
  return randomFillSync(new Uint8Array(SALT_BYTES));
}

/** Called before anything is allocated. @throws FormatError ERR_FORMAT for parameters out of bounds */
export function checkCost(cost: ScryptCost): void {
  const inRange = (name: keyof ScryptCost) =>
    Number.isInteger(cost[name]) && cost[name] >= MIN_COST[name] && cost[name] <= MAX_COST[name];
  if (!inRange("log2N") || !inRange("r") || !inRange("p")) {
    throw new FormatError("ERR_FORMAT", "the token file asks for scrypt parameters out of bounds");
  }
  if (128 * 2 ** cost.log2N * cost.r > MAX_SCRYPT_MEMORY) {
    throw new FormatError("ERR_FORMAT", "the token file asks for more than 1 GiB of memory");
  }
}

/**
 * scrypt off the event loop. `passphrase` is borrowed.
 * @throws FormatError ERR_FORMAT for parameters out of bounds
 */
export async function keyFromPassphrase(
  passphrase: Uint8Array,
  kdf: ScryptCost & { readonly salt: Uint8Array },
): Promise<KeyObject> {
  checkCost(kdf);
  const { log2N, r, p, salt } = kdf;
  const N = 2 ** log2N;
  const maxmem = 128 * r * (N + p + 2) + 1024; // the table, the p blocks and two of scratch, as OpenSSL counts them
  const raw = await new Promise<Buffer>((resolve, reject) => {
    scrypt(passphrase, salt, FILE_KEY_BYTES, { N, r, p, maxmem }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
  return intoKey(raw);
}

/** @param key the 32 bytes of the key file, borrowed */
export function keyFromKeyFile(key: Uint8Array, salt: Uint8Array): KeyObject {
  return intoKey(new Uint8Array(hkdfSync("sha256", key, salt, KEY_FILE_INFO, FILE_KEY_BYTES)));
}

/** Takes `raw` over and wipes it. */
export function intoKey(raw: Uint8Array): KeyObject {
  try {
    return createSecretKey(raw);
  } finally {
    wipe(raw);
  }
}
