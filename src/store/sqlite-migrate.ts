/** Brings an open SQLite file to the schema of this version: safe where several processes do it at once. */

import { setTimeout as delay } from "node:timers/promises";
import type { Kysely } from "kysely";
import type Libsql from "libsql";
import { StoreError } from "../errors.js";
import { APPLICATION_ID, migrations, SCHEMA_VERSION, type Tables } from "./schema.js";
import { isBusy } from "./sqlite-errors.js";
import { noStore } from "./sqlite-files.js";

type Database = InstanceType<typeof Libsql>;
type KyselyModule = typeof import("kysely");

/** How long SQLite itself waits for a lock: short, since it blocks this thread. Longer waits are pauses between tries. */
const BUSY_TIMEOUT_MS = 100;
/** Tries of what meets a lock: five seconds or more in all. */
const TRIES = 40;
const PAUSE_MS = 25;

/** Those that last as long as the connection, and need no write. */
const CONNECTION_PRAGMAS = [
  `busy_timeout = ${BUSY_TIMEOUT_MS}`,
  "trusted_schema = off",
  "cell_size_check = on",
  "foreign_keys = on",
  "secure_delete = on",
  "synchronous = full",
];

/**
 * Checks that the file is ours and not from the future, then migrates it.
 * @throws KeyNotFoundError ERR_LADDER_NOT_FOUND (an empty file, `create` not set) · StoreError ERR_STORE_NEWER, ERR_IO ·
 * SQLite's own errors
 */
export async function migrate(
  database: Database,
  db: Kysely<Tables>,
  kysely: KyselyModule,
  path: string,
  create: boolean,
): Promise<void> {
  for (const pragma of CONNECTION_PRAGMAS) database.pragma(pragma);
  await patiently(async () => {
    const version = atOnce(database, () => checkOwnership(database, path));
    if (version === 0 && !create) throw noStore(path);
    const [mode] = database.pragma("journal_mode = wal") as { journal_mode: string }[];
    if (mode?.journal_mode !== "wal") {
      throw new StoreError("ERR_IO", `cannot open the store ${path}: the file system allows no write-ahead log`);
    }
    if (version < SCHEMA_VERSION) await migrateLocked(database, db, kysely);
  });
}

/** One transaction that holds the write lock from its start: a second process waits, then finds nothing left to do. */
async function migrateLocked(database: Database, db: Kysely<Tables>, kysely: KyselyModule): Promise<void> {
  database.exec("begin immediate");
  try {
    const migrator = new kysely.Migrator({
      db,
      disableTransactions: true,
      provider: { getMigrations: async () => migrations(kysely.sql) },
    });
    const { error } = await migrator.migrateToLatest();
    if (error !== undefined) throw error;
    database.exec("commit");
  } catch (error) {
    if (database.inTransaction) database.exec("rollback");
    throw error;
  }
}

/** Reads that see one state of the file, whatever another process commits between them. */
function atOnce<T>(database: Database, read: () => T): T {
  database.exec("begin");
  try {
    return read();
  } finally {
    if (database.inTransaction) database.exec("rollback");
  }
}

/** The file's schema version; 0 for a fresh file. */
function checkOwnership(database: Database, path: string): number {
  const version = number(database, "pragma user_version");
  const application = number(database, "pragma application_id");
  const ours = application === APPLICATION_ID;
  const others = number(
    database,
    "select count(*) from sqlite_schema where name not like 'kysely\\_%' escape '\\' and name not like 'sqlite\\_%' escape '\\'",
  );
  if (!ours && (version !== 0 || others !== 0)) {
    throw new StoreError("ERR_IO", `cannot open the store ${path}: it is a SQLite file of something else`);
  }
  if (version > SCHEMA_VERSION) {
    throw new StoreError(
      "ERR_STORE_NEWER",
      `the store ${path} has schema ${version}, this version knows ${SCHEMA_VERSION}: use a newer keyladder`,
      { schema: version },
    );
  }
  if (number(database, "select count(*) from sqlite_schema where type in ('trigger', 'view')") !== 0) {
    throw new StoreError("ERR_STORE_TAMPERED", `the store ${path} holds triggers or views that are not ours`);
  }
  return version;
}

function number(database: Database, query: string): number {
  const [row] = database.prepare(query).all() as Record<string, number>[];
  return Number(Object.values(row ?? {})[0] ?? 0);
}

/** Again, after a pause, while another process holds a lock. `work` leaves nothing behind where it fails. */
export async function patiently(work: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries >= TRIES || !isBusy(error)) throw error;
      await delay(PAUSE_MS * (1 + Math.random()));
    }
  }
}
