/** `softwareHsm`: an embedded token in one file, so that a first run needs no HSM. It is not hardware, and says so. */

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError, KeyNotFoundError } from "../../errors.js";
import type { Hsm, HsmDriver, HsmSession } from "../port.js";
import { Credential, type CredentialSource } from "./credential.js";
import { checkSecret, type Secret } from "./secret.js";
import { SoftwareSession } from "./session.js";
import { freshContents } from "./token-contents.js";
import { createTokenFile, readTokenFile, TokenFile } from "./token-file.js";
import { openToken } from "./token-format.js";

const LABEL = "SOFTWARE, not an HSM";

export type SoftwareHsmOptions = {
  /** The token file. Made 0600, in a folder made 0700 where it is missing. */
  readonly file: string | URL;
} & (
  | {
      /** Never empty. A function is asked each time the token is opened. */
      readonly passphrase: Secret;
    }
  | {
      /** A file of exactly 32 raw random bytes that only its owner can read; made along with a new token. */
      readonly keyFile: string | URL;
    }
);

/**
 * An embedded token in one file: master keys sealed under a passphrase (scrypt) or an owner-only key file.
 * It is not an HSM: its keys are in this process's memory. Nothing is read or written before the token is opened.
 * A relative path is taken from the folder that is current now.
 * @throws InputError ERR_INPUT for options that cannot be right
 */
export function softwareHsm(options: SoftwareHsmOptions): Hsm {
  return softwareDriver(options);
}

/** As `softwareHsm`, with the port showing. */
export function softwareDriver(options: SoftwareHsmOptions): HsmDriver {
  if (typeof options !== "object" || options === null) throw new InputError("ERR_INPUT", "expected options");
  const path = checkPath(options.file, "file");
  const source = checkSource(options);
  if ("keyFile" in source && source.keyFile === path) {
    throw new InputError("ERR_INPUT", '"file" and "keyFile" are the same file');
  }
  return new SoftwareDriver(path, source);
}

function checkSource(options: SoftwareHsmOptions): CredentialSource {
  const passphrase = "passphrase" in options ? options.passphrase : undefined;
  const keyFile = "keyFile" in options ? options.keyFile : undefined;
  if ((passphrase === undefined) === (keyFile === undefined)) {
    throw new InputError("ERR_INPUT", 'expected exactly one of "passphrase" and "keyFile"');
  }
  if (keyFile !== undefined) return { keyFile: checkPath(keyFile, "keyFile") };
  checkSecret(passphrase, "passphrase");
  return { passphrase };
}

function checkPath(path: unknown, name: string): string {
  if (path instanceof URL && path.protocol === "file:") return fileURLToPath(path);
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new InputError("ERR_INPUT", `"${name}" expected a path or a file: URL`);
  }
  return resolve(path);
}

class SoftwareDriver implements HsmDriver {
  readonly kind = "software";
  readonly #path: string;
  readonly #source: CredentialSource;

  constructor(path: string, source: CredentialSource) {
    this.#path = path;
    this.#source = source;
  }

  /**
   * @throws KeyNotFoundError ERR_LADDER_NOT_FOUND · HsmError ERR_PASSPHRASE (the one answer to a wrong passphrase and to a
   *   changed file), ERR_HSM_REFUSED (permissions, key file) · FormatError ERR_TRUNCATED, ERR_TRAILING_BYTES, ERR_FORMAT,
   *   ERR_UNSUPPORTED_VERSION · InputError ERR_INPUT (an empty passphrase) · StoreError ERR_IO
   */
  async open(options: { readonly create: boolean }): Promise<HsmSession> {
    const credential = new Credential(this.#source);
    try {
      return (await this.#openExisting(credential)) ?? (await this.#create(credential, options.create));
    } finally {
      credential.wipe();
    }
  }

  async #openExisting(credential: Credential): Promise<SoftwareSession | undefined> {
    const found = await readTokenFile(this.#path);
    if (found === undefined) return undefined;
    const { kdf } = found.token;
    const fileKey = await credential.fileKey(kdf, false);
    const contents = openToken(found.token, fileKey);
    return new SoftwareSession(await TokenFile.at(this.#path, kdf, fileKey), { contents, stamp: found.stamp });
  }

  async #create(credential: Credential, create: boolean): Promise<SoftwareSession> {
    if (create) {
      const kdf = credential.freshKdf();
      const fileKey = await credential.fileKey(kdf, true);
      const contents = freshContents(LABEL);
      if (await createTokenFile(this.#path, kdf, fileKey, contents)) {
        return new SoftwareSession(await TokenFile.at(this.#path, kdf, fileKey), { contents, stamp: undefined });
      }
    }
    // Another process may have made it in the meantime: its token is the token.
    const session = create ? await this.#openExisting(credential) : undefined;
    if (session !== undefined) return session;
    throw new KeyNotFoundError(
      "ERR_LADDER_NOT_FOUND",
      `no token at ${this.#path}. New one: keyladder init, or create: 'if-missing'`,
    );
  }
}
