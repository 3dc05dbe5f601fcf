/**
 * The store port: a place for sealed records, and nothing more. A store is untrusted: it is asked for rows by key and
 * handed batches that apply whole or not at all. It never sees a secret and interprets no body. Types only.
 * Every method rejects with StoreError: ERR_STORE_UNAVAILABLE (busy, locked: retryable), ERR_IO (disk full, read-only,
 * damaged file), ERR_STORE_CONFLICT (a batch's expectation did not hold; nothing was written).
 */

/** What users pass to `openLadder`: made by `sqliteStore` and later `postgresStore`. Opaque to them. */
export interface Store {
  readonly kind: string;
}

export interface StoreDriver extends Store {
  /**
   * Opens the store, making and migrating it as needed.
   * @throws KeyNotFoundError ERR_LADDER_NOT_FOUND where there is none and `create` is not set
   * · StoreError ERR_STORE_NEWER (written by a later version), ERR_IO
   */
  open(options: { readonly create: boolean }): Promise<StoreSession>;
}

/** What names a row. `tenantId` is 16 zero bytes for what belongs to the whole store. */
export interface RecordRef {
  readonly type: number;
  readonly tenantId: Uint8Array;
  readonly recordId: Uint8Array;
}

/** A row: what names it, the sealed bytes, and index columns recomputed from the body by whoever writes and checks it. */
export interface StoredRecord extends RecordRef {
  /** From 1, one more at each write. */
  readonly revision: number;
  readonly body: Uint8Array;
  readonly seal: Uint8Array;
  /** The record this one belongs to (a version's key, an alias's key), 16 bytes. Index only. */
  readonly parentId?: Uint8Array;
  /** Creation, ms UTC: the order of listings. Index only. */
  readonly createdAt: number;
}

/** A write and what it expects: revision 1 expects no such row; revision n expects n - 1. */
export type StoreWrite =
  | { readonly op: "put"; readonly record: StoredRecord }
  | { readonly op: "delete"; readonly ref: RecordRef; readonly expectedRevision: number };

export interface StoreQuery {
  readonly type: number;
  /** Rows of this tenant; of every tenant where absent. */
  readonly tenantId?: Uint8Array;
  readonly parentId?: Uint8Array;
  /** Rows behind this one in (createdAt, recordId) order. */
  readonly after?: { readonly createdAt: number; readonly recordId: Uint8Array };
  readonly limit: number;
}

export interface StoreSession {
  readonly kind: string;
  /** The schema version in use. */
  readonly schema: number;
  get(ref: RecordRef): Promise<StoredRecord | undefined>;
  /** In (createdAt, recordId) order. */
  list(query: StoreQuery): Promise<StoredRecord[]>;
  count(type: number): Promise<number>;
  /** All of them, durably, or none. */
  commit(writes: readonly StoreWrite[]): Promise<void>;
  /** Changes whenever another connection has committed; a cheap question that a cache may ask often. */
  dataVersion(): Promise<number | string>;
  close(): Promise<void>;
}
