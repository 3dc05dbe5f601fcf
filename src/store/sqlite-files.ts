/** The files of an embedded store: made owner-only, and refused where others can write them. Node only. */

import { type FileHandle, mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf, ioError, syncFolder } from "../atomic-file.js";
import { KeyNotFoundError, StoreError } from "../errors.js";

const OWNER_ONLY = 0o600;
const OTHERS_WRITE = 0o022;

/** Makes an empty file (0600) in a folder (0700 where new); an existing file stays as it is. @throws StoreError ERR_IO */
export async function makeStoreFile(path: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    handle = await open(path, "a", OWNER_ONLY);
    await syncFolder(dirname(path));
  } catch (error) {
    throw ioError(error, `make the store ${path}`);
  } finally {
    await handle?.close();
  }
}

/**
 * @throws KeyNotFoundError ERR_LADDER_NOT_FOUND where there is no file · StoreError ERR_IO where it is no regular file,
 * or it, its log or its index can be written by others
 */
export async function checkStoreFiles(path: string): Promise<void> {
  if (!(await checkFile(path))) throw noStore(path);
  await checkFile(`${path}-wal`);
  await checkFile(`${path}-shm`);
}

/** True where there is such a file and it is fit to use. */
async function checkFile(path: string): Promise<boolean> {
  try {
    const info = await stat(path);
    if (!info.isFile()) throw new StoreError("ERR_IO", `cannot open the store ${path}: it is not a file`);
    if (process.platform !== "win32" && (info.mode & OTHERS_WRITE) !== 0) {
      throw new StoreError("ERR_IO", `cannot open the store ${path}: others can write it (chmod 600)`);
    }
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return false;
    throw ioError(error, `open the store ${path}`);
  }
}

export function noStore(path: string): KeyNotFoundError {
  return new KeyNotFoundError("ERR_LADDER_NOT_FOUND", `no store at ${path}; to make one: create: "if-missing"`);
}
