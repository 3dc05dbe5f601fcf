/** Failures of SQLite as errors of ours, told apart by result code, never by text. */

import { errnoOf, ioError } from "../atomic-file.js";
import { KeyladderError, StoreError } from "../errors.js";

const WORDS: Readonly<Record<string, string>> = {
  SQLITE_FULL: "the disk is full",
  SQLITE_READONLY: "the file or its folder is read-only",
  SQLITE_IOERR: "the device failed",
  SQLITE_CANTOPEN: "the file cannot be opened",
  SQLITE_PERM: "permission denied",
  SQLITE_NOTADB: "it is not a SQLite file, or it is damaged",
  SQLITE_CORRUPT: "the file is damaged: restore it from a backup",
};

/** The primary result code of a SQLite error ("SQLITE_IOERR" for "SQLITE_IOERR_WRITE"), or undefined. */
function resultCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? /^SQLITE_[A-Z]+/.exec(code)?.[0] : undefined;
}

/** True for a failure that SQLite reported, of whatever kind. */
export function isSqliteError(error: unknown): boolean {
  return resultCode(error) !== undefined;
}

/** True where another connection holds a lock: the same call may succeed later. */
export function isBusy(error: unknown): boolean {
  const code = resultCode(error);
  return code === "SQLITE_BUSY" || code === "SQLITE_LOCKED";
}

/** True where a row that was to be new is there already. */
export function isDuplicate(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === "SQLITE_CONSTRAINT_PRIMARYKEY";
}

/** A failure of SQLite as a StoreError; an error of ours as it is. `doing` completes "cannot …". */
export function sqliteError(error: unknown, doing: string): KeyladderError {
  if (KeyladderError.is(error)) return error;
  if (isBusy(error)) {
    return new StoreError("ERR_STORE_UNAVAILABLE", `cannot ${doing}: another process holds it`, {
      cause: error,
      retryable: true,
    });
  }
  if (errnoOf(error) !== undefined && resultCode(error) === undefined) return ioError(error, doing);
  const code = resultCode(error);
  const why = (code === undefined ? undefined : WORDS[code]) ?? "the database failed";
  return new StoreError("ERR_IO", `cannot ${doing}: ${why}`, {
    cause: error,
    ...(code === undefined ? {} : { sqlite: code }),
  });
}
