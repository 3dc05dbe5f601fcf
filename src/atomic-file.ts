/** Files that appear whole or not at all: a temporary name beside the target, fsync, then one rename or link. Node only. */

import { randomBytes } from "node:crypto";
import { type FileHandle, link, lstat, open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { InputError, KeyladderError, StoreError } from "./errors.js";

export interface AtomicFileOptions {
  /** Replace an existing file. Default false: ERR_FILE_EXISTS, and the existing file is untouched. */
  readonly overwrite?: boolean;
  /** Permission bits of the new file. */
  readonly mode: number;
}

/** A file being written. Exactly one of `commit` and `discard` ends it. */
export interface AtomicFile {
  readonly handle: FileHandle;
  /** Where the content is until `commit`: for whoever reads it back first. */
  readonly temporary: string;
  /** Makes the content durable and gives it its name. @throws InputError ERR_FILE_EXISTS · StoreError ERR_IO */
  commit(): Promise<void>;
  /** Removes what was written. Never rejects: the caller is already failing. */
  discard(): Promise<void>;
}

const WORDS: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EROFS: "the file system is read-only",
  EACCES: "permission denied",
  EPERM: "permission denied",
  ENOENT: "no such file or folder",
  ENOTDIR: "a part of the path is not a folder",
  EISDIR: "it is a folder",
  ENAMETOOLONG: "the name is too long",
  EMFILE: "too many open files",
  EIO: "the device failed",
};

/** The errno name of a system error, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** A system error as one of ours; one of ours as it is. `doing` completes "cannot …", naming the path. */
export function ioError(error: unknown, doing: string): KeyladderError {
  const errno = errnoOf(error);
  if (KeyladderError.is(error)) return error;
  const why = errno === undefined ? "the operation failed" : (WORDS[errno] ?? errno);
  if (errno === "EEXIST")
    return new InputError("ERR_FILE_EXISTS", `cannot ${doing}: it exists already`, { cause: error });
  return new StoreError("ERR_IO", `cannot ${doing}: ${why}`, {
    cause: error,
    ...(errno === undefined ? {} : { errno }),
  });
}

/** Makes the entries of a folder durable. Platforms that cannot open folders have nothing to sync. */
export async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await open(folder, "r");
  } catch (error) {
    if (errnoOf(error) === "EISDIR" || errnoOf(error) === "EPERM" || errnoOf(error) === "EACCES") return;
    throw error;
  }
  try {
    await handle.sync();
  } catch (error) {
    if (errnoOf(error) !== "EINVAL" && errnoOf(error) !== "EPERM") throw error;
  } finally {
    await handle.close();
  }
}

/** Gives `temporary` the name `path`, without ever replacing a file unless `overwrite`. */
async function giveName(temporary: string, path: string, overwrite: boolean): Promise<void> {
  if (overwrite) return rename(temporary, path);
  try {
    await link(temporary, path);
  } catch (error) {
    // File systems without hard links: claim the name with an exclusive empty file, then replace that.
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(errnoOf(error) ?? "")) throw error;
    await (await open(path, "wx")).close();
    return rename(temporary, path);
  }
  await unlink(temporary);
}

const TEMPORARY_PREFIX = ".keyladder-";
const TEMPORARY_SUFFIX = ".tmp";

/** Whether a file's name is that of one being written, or left by a process that was killed while writing. */
export function isTemporary(name: string): boolean {
  return name.startsWith(TEMPORARY_PREFIX) && name.endsWith(TEMPORARY_SUFFIX);
}

/** Starts a file at `path`. @throws InputError ERR_FILE_EXISTS · StoreError ERR_IO */
export async function openAtomicFile(path: string, options: AtomicFileOptions): Promise<AtomicFile> {
  const overwrite = options.overwrite ?? false;
  const folder = dirname(path);
  // Not made of the target's name, which may be as long as a name can be.
  const temporary = join(folder, `${TEMPORARY_PREFIX}${randomBytes(9).toString("hex")}${TEMPORARY_SUFFIX}`);
  const doing = `write ${path}`;
  let handle: FileHandle;
  try {
    if (!overwrite) await refuseExisting(path);
    handle = await open(temporary, "wx", options.mode);
  } catch (error) {
    throw ioError(error, doing);
  }
  const discard = async (): Promise<void> => {
    await handle.close().catch(() => undefined);
    await unlink(temporary).catch(() => undefined);
  };
  return {
    handle,
    temporary,
    discard,
    async commit() {
      try {
        await handle.sync();
        await handle.close();
        await giveName(temporary, path, overwrite);
        await syncFolder(folder);
      } catch (error) {
        await discard();
        throw ioError(error, doing);
      }
    },
  };
}

/** Fails early, before any work, where the target exists, a pipe or a link to nothing too. The commit checks again, atomically. */
async function refuseExisting(path: string): Promise<void> {
  try {
    await lstat(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw error;
  }
  throw new InputError("ERR_FILE_EXISTS", `cannot write ${path}: it exists already`);
}

/** Writes a whole file at once. @throws InputError ERR_FILE_EXISTS · StoreError ERR_IO */
export async function writeFileAtomic(path: string, data: Uint8Array, options: AtomicFileOptions): Promise<void> {
  const file = await openAtomicFile(path, options);
  try {
    await file.handle.writeFile(data);
  } catch (error) {
    await file.discard();
    throw ioError(error, `write ${path}`);
  }
  await file.commit();
}
