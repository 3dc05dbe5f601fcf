/** Reading files whose permissions matter: one open, everything checked on that handle, the size before the reading. */

import { type BigIntStats, constants } from "node:fs";
import { type FileHandle, mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf, ioError, syncFolder } from "../../atomic-file.js";
import { type Bytes, wipe } from "../../bytes.js";
import { FormatError, HsmError } from "../../errors.js";

export interface GuardRules {
  /** Names the file in errors. */
  readonly what: string;
  /** Permission bits that must all be clear. Windows has none, and is not asked. */
  readonly forbiddenMode: number;
  readonly maxBytes: number;
}

export interface GuardedFile {
  /** The caller's to keep, or wipe. */
  readonly bytes: Bytes;
  /** Changes whenever the file is replaced or rewritten. */
  readonly stamp: string;
}

function stampOf(stats: BigIntStats): string {
  return [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(":");
}

/** @returns undefined where there is no file. @throws StoreError ERR_IO */
export async function fileStamp(path: string): Promise<string | undefined> {
  try {
    return stampOf(await stat(path, { bigint: true }));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw ioError(error, `read ${path}`);
  }
}

/**
 * Reads the whole file; undefined where there is none.
 * @throws HsmError ERR_HSM_REFUSED (no plain file, or open to others) · FormatError ERR_FORMAT (too large) · StoreError ERR_IO
 */
export async function readGuarded(path: string, rules: GuardRules): Promise<GuardedFile | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)); // a pipe must not hang us
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw ioError(error, `read ${path}`);
  }
  try {
    const stats = await handle.stat({ bigint: true });
    checkRules(path, stats, rules);
    const bytes = await handle.readFile();
    const copy = new Uint8Array(bytes);
    wipe(bytes);
    return { bytes: copy, stamp: stampOf(stats) };
  } catch (error) {
    throw ioError(error, `read ${path}`);
  } finally {
    await handle.close();
  }
}

function checkRules(path: string, stats: BigIntStats, { what, forbiddenMode, maxBytes }: GuardRules): void {
  if (!stats.isFile()) throw new HsmError("ERR_HSM_REFUSED", `the ${what} ${path} is not a plain file`);
  const mode = Number(stats.mode) & 0o777;
  if (process.platform !== "win32" && (mode & forbiddenMode) !== 0) {
    const octal = mode.toString(8).padStart(4, "0");
    throw new HsmError("ERR_HSM_REFUSED", `the ${what} ${path} is open to other users (mode ${octal}): chmod 600 it`);
  }
  if (stats.size > BigInt(maxBytes)) {
    throw new FormatError("ERR_FORMAT", `the ${what} ${path} is too large: ${stats.size} bytes`);
  }
}

/** Makes the folder `path` goes into, for its owner only, where it is missing. @throws StoreError ERR_IO */
export async function makeFolder(path: string): Promise<void> {
  try {
    const firstMade = await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    if (firstMade !== undefined) await syncFolder(dirname(firstMade));
  } catch (error) {
    throw ioError(error, `make the folder of ${path}`);
  }
}
