/** The tables of the SQL stores, and the migrations that make them. Bodies and seals are opaque bytes here. */

import type { Kysely, Migration } from "kysely";

/** One row for each sealed record. Every column but `body` and `seal` is an index, recomputed from the body on load. */
export interface RecordsTable {
  type: number;
  tenant_id: Uint8Array;
  record_id: Uint8Array;
  revision: number;
  body: Uint8Array;
  seal: Uint8Array;
  parent_id: Uint8Array | null;
  /** ms UTC. */
  created_at: number;
}

export interface Tables {
  records: RecordsTable;
}

/** The newest schema this version knows: the number of migrations. Kept in PRAGMA user_version. */
export const SCHEMA_VERSION = 1;
/** "KLDR": tells our files from other SQLite files (PRAGMA application_id). */
export const APPLICATION_ID = 0x4b4c4452;

type Sql = typeof import("kysely").sql;

/** The migrations, by name in the order they apply. Each runs in a transaction and ends by naming its version. */
export function migrations(sql: Sql): Record<string, Migration> {
  return {
    "001-records": {
      async up(db: Kysely<unknown>): Promise<void> {
        await sql`
          create table records (
            type integer not null check (type between 1 and 255),
            tenant_id blob not null check (length(tenant_id) = 16),
            record_id blob not null check (length(record_id) = 16),
            revision integer not null check (revision > 0),
            body blob not null,
            seal blob not null,
            parent_id blob check (parent_id is null or length(parent_id) = 16),
            created_at integer not null,
            primary key (type, tenant_id, record_id)
          ) strict, without rowid`.execute(db);
        await sql`create index records_by_age on records (type, tenant_id, created_at, record_id)`.execute(db);
        await sql`create index records_by_parent on records (type, parent_id) where parent_id is not null`.execute(db);
        await sql.raw(`pragma application_id = ${APPLICATION_ID}`).execute(db);
        await sql.raw("pragma user_version = 1").execute(db);
      },
    },
  };
}
