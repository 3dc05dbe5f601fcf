/**
 * The embedded store: one SQLite file, through Kysely on libsql. Write-ahead log, an fsync at each commit, freed pages
 * overwritten. The drivers load when a store opens, not when this module is imported.
 */

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Compilable, Kysely, Selectable } from "kysely";
import type Libsql from "libsql";
import { InputError, StoreError } from "../errors.js";
import type { RecordRef, Store, StoreDriver, StoredRecord, StoreQuery, StoreSession, StoreWrite } from "./port.js";
import { type RecordsTable, SCHEMA_VERSION, type Tables } from "./schema.js";
import { isDuplicate, isSqliteError, sqliteError } from "./sqlite-errors.js";
import { checkStoreFiles, makeStoreFile } from "./sqlite-files.js";
import { migrate, patiently } from "./sqlite-migrate.js";

export interface SqliteStoreOptions {
  /** The database file; `-wal` and `-shm` appear beside it while it is open. */
  readonly file: string | URL;
}

type Database = InstanceType<typeof Libsql>;

/**
 * A store in one file, for one machine (any number of its processes). No I/O happens before `openLadder`.
 * @throws InputError ERR_INPUT
 */
export function sqliteStore(options: SqliteStoreOptions): Store {
  const file: unknown = options?.file;
  if (!(file instanceof URL) && (typeof file !== "string" || file.length === 0 || file.includes("\0"))) {
    throw new InputError("ERR_INPUT", '"file" expected a path or a file: URL');
  }
  if (file instanceof URL && file.protocol !== "file:") {
    throw new InputError("ERR_INPUT", '"file" expected a path or a file: URL');
  }
  const driver: StoreDriver & { readonly file: string } = {
    kind: "sqlite",
    file: resolve(file instanceof URL ? fileURLToPath(file) : file),
    open: (how) => openSqlite(driver.file, how.create),
  };
  return driver;
}

async function openSqlite(path: string, create: boolean): Promise<StoreSession> {
  if (create) await makeStoreFile(path);
  await checkStoreFiles(path);
  const [{ default: Driver }, kysely] = await Promise.all([import("libsql"), import("kysely")]);
  let database: Database | undefined;
  try {
    const opened = new Driver(path);
    database = opened;
    const db = new kysely.Kysely<Tables>({
      dialect: new kysely.SqliteDialect({
        database: { prepare: (text) => opened.prepare(text), close: () => undefined },
      }),
    });
    await migrate(opened, db, kysely, path, create);
    return new SqliteSession(path, opened, db);
  } catch (error) {
    database?.close();
    throw sqliteError(error, `open the store ${path}`);
  }
}

class SqliteSession implements StoreSession {
  readonly kind = "sqlite";
  readonly schema = SCHEMA_VERSION;
  readonly #path: string;
  readonly #database: Database;
  readonly #db: Kysely<Tables>;
  #dataVersion: () => number;
  /** Commits of our own: SQLite's data_version counts only those of other connections. */
  #commits = 0;
  #open = true;

  constructor(path: string, database: Database, db: Kysely<Tables>) {
    this.#path = path;
    this.#database = database;
    this.#db = db;
    // The hot path of every cached data key: prepared once, and the row as an array.
    const statement = database.prepare("pragma data_version").raw();
    this.#dataVersion = () => (statement.get([]) as [number])[0];
  }

  get(ref: RecordRef): Promise<StoredRecord | undefined> {
    return this.#run("read", async () => {
      const row = await this.#db
        .selectFrom("records")
        .selectAll()
        .where(({ eb }) => eb.and(rowOf(ref)))
        .executeTakeFirst();
      return row === undefined ? undefined : fromRow(row);
    });
  }

  list(query: StoreQuery): Promise<StoredRecord[]> {
    return this.#run("read", async () => {
      let select = this.#db.selectFrom("records").selectAll().where("type", "=", query.type);
      if (query.tenantId !== undefined) select = select.where("tenant_id", "=", query.tenantId);
      if (query.parentId !== undefined) select = select.where("parent_id", "=", query.parentId);
      const { after } = query;
      if (after !== undefined) {
        select = select.where(({ eb, or, and }) =>
          or([
            eb("created_at", ">", after.createdAt),
            and([eb("created_at", "=", after.createdAt), eb("record_id", ">", after.recordId)]),
          ]),
        );
      }
      const rows = await select.orderBy("created_at").orderBy("record_id").limit(query.limit).execute();
      return rows.map(fromRow);
    });
  }

  count(type: number): Promise<number> {
    return this.#run("read", async () => {
      const row = await this.#db
        .selectFrom("records")
        .select(({ fn }) => fn.countAll<number>().as("n"))
        .where("type", "=", type)
        .executeTakeFirstOrThrow();
      return Number(row.n);
    });
  }

  commit(writes: readonly StoreWrite[]): Promise<void> {
    return this.#run("write", () => patiently(async () => this.#commit(writes)));
  }

  dataVersion(): Promise<string> {
    return this.#run("read", async () => `${this.#dataVersion()}:${this.#commits}`);
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    // The one connection is handed out in turn: being given it means that nothing is under way.
    await this.#db.connection().execute(async () => {
      this.#foldLog();
      this.#database.close();
    });
    await this.#db.destroy();
    this.#dataVersion = () => 0;
  }

  /** Moves what is in the log into the file, so that the file alone is the store where nobody else has it open. */
  #foldLog(): void {
    try {
      this.#database.exec("pragma wal_checkpoint(truncate)");
    } catch (error) {
      // On a full disk all of it stays in the log, durable; the next to open the store goes on from there.
      if (!isSqliteError(error)) throw error;
    }
  }

  /** Without a pause from begin to commit: no other session of this process waits, blocked, for this one to go on. */
  #commit(writes: readonly StoreWrite[]): void {
    this.#database.exec("begin immediate");
    try {
      for (const write of writes) this.#apply(write);
      this.#database.exec("commit");
    } catch (error) {
      // A full disk ends the transaction by itself.
      if (this.#database.inTransaction) this.#database.exec("rollback");
      throw error;
    }
    this.#commits++;
  }

  #apply(write: StoreWrite): void {
    if (write.op === "put" && write.record.revision === 1) {
      try {
        this.#execute(this.#db.insertInto("records").values(toRow(write.record)));
        return;
      } catch (error) {
        throw isDuplicate(error) ? conflict(error) : error;
      }
    }
    const changed =
      write.op === "put"
        ? this.#execute(
            this.#db
              .updateTable("records")
              .set(toRow(write.record))
              .where(({ eb }) => eb.and(rowOf(write.record)))
              .where("revision", "=", write.record.revision - 1),
          )
        : this.#execute(
            this.#db
              .deleteFrom("records")
              .where(({ eb }) => eb.and(rowOf(write.ref)))
              .where("revision", "=", write.expectedRevision),
          );
    if (changed !== 1) throw conflict();
  }

  /** The number of rows written. */
  #execute(query: Compilable): number {
    const { sql, parameters } = query.compile();
    return this.#database.prepare(sql).run([...parameters]).changes;
  }

  async #run<T>(doing: "read" | "write", work: () => Promise<T>): Promise<T> {
    if (!this.#open) throw new InputError("ERR_CLOSED", "the store was already closed");
    try {
      return await work();
    } catch (error) {
      throw sqliteError(error, `${doing} the store ${this.#path}`);
    }
  }
}

/** The primary key. */
function rowOf(ref: RecordRef) {
  return { type: ref.type, tenant_id: ref.tenantId, record_id: ref.recordId };
}

function conflict(cause?: unknown): StoreError {
  return new StoreError("ERR_STORE_CONFLICT", "another writer was first; nothing was written", {
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}

function toRow(record: StoredRecord): RecordsTable {
  return {
    type: record.type,
    tenant_id: record.tenantId,
    record_id: record.recordId,
    revision: record.revision,
    body: record.body,
    seal: record.seal,
    parent_id: record.parentId ?? null,
    created_at: record.createdAt,
  };
}

/** libsql hands blobs out as ArrayBuffer. */
function fromRow(row: Selectable<RecordsTable>): StoredRecord {
  return {
    type: row.type,
    tenantId: new Uint8Array(row.tenant_id),
    recordId: new Uint8Array(row.record_id),
    revision: row.revision,
    body: new Uint8Array(row.body),
    seal: new Uint8Array(row.seal),
    createdAt: row.created_at,
    ...(row.parent_id === null ? {} : { parentId: new Uint8Array(row.parent_id) }),
  };
}
