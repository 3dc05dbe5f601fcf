/** What unlocks a token file: a passphrase, or a file of 32 random bytes that only its owner can read. */

import { type KeyObject, randomFillSync } from "node:crypto";
import { writeFileAtomic } from "../../atomic-file.js";
import { type Bytes, wipe } from "../../bytes.js";
import { HsmError, KeyladderError } from "../../errors.js";
import { DEFAULT_COST, freshSalt, type Kdf, keyFromKeyFile, keyFromPassphrase } from "./file-key.js";
import { makeFolder, readGuarded } from "./guarded-file.js";
import { type Secret, secretBytes } from "./secret.js";

export type CredentialSource = { readonly passphrase: Secret } | { readonly keyFile: string };

const KEY_FILE_BYTES = 32;
const OTHERS_MAY_READ_OR_WRITE = 0o077;

/** One opening's worth of a credential: asked for once, wiped at the end. */
export class Credential {
  readonly #source: CredentialSource;
  #bytes: Bytes | undefined;

  constructor(source: CredentialSource) {
    this.#source = source;
  }

  /** The derivation a new token is made with. */
  freshKdf(): Kdf {
    const salt = freshSalt();
    return "keyFile" in this.#source ? { kind: "key-file", salt } : { kind: "scrypt", ...DEFAULT_COST, salt };
  }

  /**
   * The key that seals the token file, by the file's own derivation.
   * @param create make the key file where there is none
   * @throws HsmError ERR_HSM_REFUSED (the token is sealed the other way; the key file is absent, not 32 bytes, or open to
   *   others) · InputError ERR_INPUT (an empty passphrase) · StoreError ERR_IO
   */
  async fileKey(kdf: Kdf, create: boolean): Promise<KeyObject> {
    const source = this.#source;
    if ("keyFile" in source) {
      if (kdf.kind !== "key-file") throw refused("this token is sealed under a passphrase, not under a key file");
      this.#bytes ??= await readKeyFile(source.keyFile, create);
      return keyFromKeyFile(this.#bytes, kdf.salt);
    }
    if (kdf.kind !== "scrypt") throw refused("this token is sealed under a key file, not under a passphrase");
    this.#bytes ??= await secretBytes(source.passphrase, "passphrase");
    return keyFromPassphrase(this.#bytes, kdf);
  }

  wipe(): void {
    wipe(this.#bytes);
    this.#bytes = undefined;
  }
}

async function readKeyFile(path: string, create: boolean): Promise<Bytes> {
  let found = await readIfThere(path);
  if (found === undefined && create) {
    await makeKeyFile(path);
    found = await readIfThere(path);
  }
  if (found === undefined) throw refused(`there is no key file at ${path}`);
  if (found.length !== KEY_FILE_BYTES) {
    wipe(found);
    throw refused(
      `the key file ${path} expected ${KEY_FILE_BYTES} raw bytes, got ${found.length} (hex text? decode it)`,
    );
  }
  return found;
}

async function readIfThere(path: string): Promise<Bytes | undefined> {
  const rules = { what: "key file", forbiddenMode: OTHERS_MAY_READ_OR_WRITE, maxBytes: 4096 };
  return (await readGuarded(path, rules))?.bytes;
}

async function makeKeyFile(path: string): Promise<void> {
  await makeFolder(path);
  const key = randomFillSync(new Uint8Array(KEY_FILE_BYTES));
  try {
    await writeFileAtomic(path, key, { mode: 0o600 });
  } catch (error) {
    if (!KeyladderError.is(error, "ERR_FILE_EXISTS")) throw error; // another process made it first: that one counts
  } finally {
    wipe(key);
  }
}

function refused(message: string): HsmError {
  return new HsmError("ERR_HSM_REFUSED", message);
}
