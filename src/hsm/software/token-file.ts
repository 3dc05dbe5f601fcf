/** A token file on disk: read, made once, changed by one process at a time. */

import type { KeyObject } from "node:crypto";
import { realpath } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoOf, ioError, openAtomicFile, writeFileAtomic } from "../../atomic-file.js";
import { HsmError, KeyladderError } from "../../errors.js";
import type { Kdf } from "./file-key.js";
import { fileStamp, makeFolder, readGuarded } from "./guarded-file.js";
import type { TokenContents } from "./token-contents.js";
import { MAX_TOKEN_FILE_BYTES, openToken, parseToken, type SealedToken, sealToken } from "./token-format.js";

const OTHERS_MAY_WRITE = 0o022;
const OWNER_ONLY = 0o600;

/** A lock nobody refreshed for this long was left by a process that died. */
const LOCK_STALE_MS = 3000;
const LOCK_REFRESH_MS = 1000;
/** Outlasts a dead owner's lock and a queue of live ones. */
const LOCK_PATIENCE_MS = 15_000;
const LOCK_POLL_MS = 25;

/** The contents as they were when the file bore this stamp. */
export interface LoadedToken {
  readonly contents: TokenContents;
  readonly stamp: string | undefined;
}

/** The parsed, unopened file and its stamp; undefined where there is none. */
export async function readTokenFile(path: string): Promise<{ token: SealedToken; stamp: string } | undefined> {
  const rules = { what: "token file", forbiddenMode: OTHERS_MAY_WRITE, maxBytes: MAX_TOKEN_FILE_BYTES };
  const file = await readGuarded(path, rules);
  return file && { token: parseToken(file.bytes), stamp: file.stamp };
}

/**
 * Gives a new token its name. Exactly one of several processes that try wins.
 * @returns false where a file was there first: it is untouched
 * @throws StoreError ERR_IO
 */
export async function createTokenFile(
  path: string,
  kdf: Kdf,
  fileKey: KeyObject,
  contents: TokenContents,
): Promise<boolean> {
  await makeFolder(path);
  try {
    await writeFileAtomic(path, sealToken(kdf, fileKey, contents), { mode: OWNER_ONLY });
    return true;
  } catch (error) {
    if (KeyladderError.is(error, "ERR_FILE_EXISTS")) return false;
    throw error;
  }
}

/** An opened token file. Holds the derived key, so that the passphrase is asked for once. */
export class TokenFile {
  readonly #path: string;
  readonly #kdf: Kdf;
  readonly #fileKey: KeyObject;

  private constructor(path: string, kdf: Kdf, fileKey: KeyObject) {
    this.#path = path;
    this.#kdf = kdf;
    this.#fileKey = fileKey;
  }

  /** Follows symbolic links once, so that a change replaces the file and not the link. @throws StoreError ERR_IO */
  static async at(path: string, kdf: Kdf, fileKey: KeyObject): Promise<TokenFile> {
    try {
      return new TokenFile(await realpath(path), kdf, fileKey);
    } catch (error) {
      throw ioError(error, `read ${path}`);
    }
  }

  /** Undefined where the file is gone. @throws StoreError ERR_IO */
  stamp(): Promise<string | undefined> {
    return fileStamp(this.#path);
  }

  /** @throws HsmError ERR_HSM_UNAVAILABLE where the file is gone, ERR_PASSPHRASE where it is another one now */
  async load(): Promise<LoadedToken> {
    const found = await readTokenFile(this.#path);
    if (found === undefined) throw new HsmError("ERR_HSM_UNAVAILABLE", `the token file ${this.#path} is gone`);
    return { contents: openToken(found.token, this.#fileKey), stamp: found.stamp };
  }

  /**
   * Reads the file anew under its lock, lets `change` make the next contents (generation aside) and replaces the file.
   * @param change gives undefined where there is nothing to change
   * @throws HsmError ERR_HSM_UNAVAILABLE (retryable: the lock could not be had, or was lost) · StoreError ERR_IO
   */
  update(change: (contents: TokenContents) => TokenContents | undefined): Promise<LoadedToken> {
    return this.#locked(async (stillHeld) => {
      const before = await this.load();
      const changed = change(before.contents);
      if (changed === undefined) return before;
      const contents = { ...changed, generation: before.contents.generation + 1n };
      const file = await openAtomicFile(this.#path, { overwrite: true, mode: OWNER_ONLY });
      try {
        await file.handle.writeFile(sealToken(this.#kdf, this.#fileKey, contents));
        await file.handle.sync();
        // The lock of a dead process may be broken by two others at once: look again, as late as can be.
        if (!stillHeld() || (await this.stamp()) !== before.stamp) throw busy();
      } catch (error) {
        await file.discard();
        throw ioError(error, `write ${this.#path}`);
      }
      await file.commit();
      return { contents, stamp: await this.stamp() };
    });
  }

  async #locked<T>(work: (stillHeld: () => boolean) => Promise<T>): Promise<T> {
    let held = true;
    const release = await acquireLock(this.#path, () => {
      held = false;
    });
    try {
      return await work(() => held);
    } finally {
      // What was to be done is done, and durable: a lock that cannot be given back is broken by the next one to wait.
      await release().catch(() => undefined);
    }
  }
}

/** Polls while another process holds the lock; any other failure is final at once. @returns what gives the lock back */
async function acquireLock(path: string, onCompromised: () => void): Promise<() => Promise<void>> {
  const { lock } = await import("proper-lockfile");
  const options = { realpath: false, stale: LOCK_STALE_MS, update: LOCK_REFRESH_MS, onCompromised };
  const giveUpAt = performance.now() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      return await lock(path, options);
    } catch (error) {
      if (errnoOf(error) !== "ELOCKED") throw ioError(error, `lock ${path}`);
      if (performance.now() > giveUpAt) throw busy();
    }
    await sleep(LOCK_POLL_MS * (0.5 + Math.random())); // no secret: it only keeps rivals out of step
  }
}

function busy(): HsmError {
  const message = "another process is changing the token file; try again";
  return new HsmError("ERR_HSM_UNAVAILABLE", message, { retryable: true });
}
