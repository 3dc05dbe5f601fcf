/**
 * Typed, sealed records over a store that is not trusted. On load everything is checked: the seal, that the body is the
 * one asked for (store, type, tenant, id), that the columns are what the body says, and that no record is older than one
 * this process has seen. What fails is ERR_STORE_TAMPERED. Seals are made before a transaction begins.
 */

import { compareBytes, toHex } from "../bytes.js";
import { KeyladderError, StoreError } from "../errors.js";
import type { RecordRef, StoredRecord, StoreQuery, StoreSession, StoreWrite } from "../store/port.js";
import type { RecordKind } from "./fields.js";
import { decodeRecord, encodeRecord, type RecordBody } from "./record.js";
import type { Sealer } from "./seal.js";

/** A record as verified, or as it is to be written. */
export interface VaultRecord<V> {
  readonly kind: RecordKind<V>;
  readonly tenantId: Uint8Array;
  readonly recordId: Uint8Array;
  readonly revision: number;
  readonly values: V;
}

/** Revisions remembered, at about 200 bytes each; past that the longest unused is forgotten. */
const MAX_WATERMARKS = 262_144;

export function tampered(what: string, cause?: unknown): StoreError {
  const details = cause === undefined ? {} : { cause };
  return new StoreError("ERR_STORE_TAMPERED", `the store holds ${what}: it was changed by someone else`, details);
}

/** The body of a row whose seal verifies and whose columns match. @throws StoreError ERR_STORE_TAMPERED */
export async function openRow<V>(
  sealer: Sealer,
  row: StoredRecord,
  kind: RecordKind<V>,
): Promise<{ body: RecordBody; values: V }> {
  const what = `a ${kind.name} record that is not as it was sealed`;
  if (!(await sealer.verify(row.body, row.seal))) throw tampered(what);
  let body: RecordBody;
  let values: V;
  try {
    body = decodeRecord(row.body);
    if (body.type !== kind.type) throw tampered(what);
    values = kind.decode(body.fields);
  } catch (error) {
    throw KeyladderError.is(error, "ERR_STORE_TAMPERED") ? error : tampered(what, error);
  }
  const { parentId, createdAt } = kind.index(values);
  const matches =
    row.type === body.type &&
    compareBytes(row.tenantId, body.tenantId) === 0 &&
    compareBytes(row.recordId, body.recordId) === 0 &&
    row.revision === body.revision &&
    row.createdAt === createdAt &&
    (parentId === undefined
      ? row.parentId === undefined
      : row.parentId !== undefined && compareBytes(row.parentId, parentId) === 0);
  if (!matches) throw tampered(`a ${kind.name} record whose index differs from its body`);
  return { body, values };
}

export class Vault {
  readonly storeId: Uint8Array;
  readonly #store: StoreSession;
  readonly #sealer: Sealer;
  /** The highest revision of each record this process has seen. */
  readonly #watermarks = new Map<string, { readonly revision: number; readonly at: number }>();
  /** Counts rises of watermarks, to tell those before a read from those after. */
  #clock = 0;

  constructor(store: StoreSession, sealer: Sealer, storeId: Uint8Array) {
    this.#store = store;
    this.#sealer = sealer;
    this.storeId = storeId;
  }

  /** @throws StoreError ERR_STORE_TAMPERED, also where a record this process has seen is gone */
  async get<V>(kind: RecordKind<V>, tenantId: Uint8Array, recordId: Uint8Array): Promise<VaultRecord<V> | undefined> {
    const ref = { type: kind.type, tenantId, recordId };
    // Taken before the read: another call may see a newer revision while this one waits for the HSM.
    const floor = this.#watermarks.get(keyOf(ref))?.revision ?? 0;
    const row = await this.#store.get(ref);
    if (row !== undefined) return this.#open(kind, row, ref, floor);
    if (floor > 0) throw tampered(`no ${kind.name} record where there was one`);
    return undefined;
  }

  /** A record that must be there, since a sealed one refers to it. @throws StoreError ERR_STORE_TAMPERED */
  async demand<V>(kind: RecordKind<V>, tenantId: Uint8Array, recordId: Uint8Array): Promise<VaultRecord<V>> {
    const record = await this.get(kind, tenantId, recordId);
    if (record === undefined) throw tampered(`no ${kind.name} record where there must be one`);
    return record;
  }

  /** In (createdAt, recordId) order. Rows left out by a hostile store do not show here. */
  async list<V>(kind: RecordKind<V>, query: Omit<StoreQuery, "type">): Promise<VaultRecord<V>[]> {
    const start = this.#clock;
    const rows = await this.#store.list({ ...query, type: kind.type });
    return Promise.all(
      rows.map((row) => {
        const ref = { type: kind.type, tenantId: query.tenantId ?? row.tenantId, recordId: row.recordId };
        const seen = this.#watermarks.get(keyOf(ref));
        return this.#open(kind, row, ref, seen !== undefined && seen.at <= start ? seen.revision : 0);
      }),
    );
  }

  count(kind: RecordKind<unknown>): Promise<number> {
    return this.#store.count(kind.type);
  }

  dataVersion(): Promise<number | string> {
    return this.#store.dataVersion();
  }

  /** Writes all records or none. @throws StoreError ERR_STORE_CONFLICT where one is not the successor of what is there */
  async commit(records: readonly VaultRecord<unknown>[]): Promise<void> {
    const writes = await Promise.all(records.map((record) => this.#seal(record)));
    await this.#store.commit(writes);
    for (const record of records) this.#raise(keyOf({ ...record, type: record.kind.type }), record.revision);
  }

  async #open<V>(kind: RecordKind<V>, row: StoredRecord, ref: RecordRef, floor: number): Promise<VaultRecord<V>> {
    const { body, values } = await openRow(this.#sealer, row, kind);
    if (compareBytes(body.storeId, this.storeId) !== 0) throw tampered(`a ${kind.name} record of another store`);
    if (compareBytes(body.tenantId, ref.tenantId) !== 0 || compareBytes(body.recordId, ref.recordId) !== 0) {
      throw tampered(`a ${kind.name} record in the place of another`);
    }
    if (body.revision < floor) throw tampered(`a ${kind.name} record older than one seen before`);
    this.#raise(keyOf(ref), body.revision);
    return { kind, tenantId: body.tenantId, recordId: body.recordId, revision: body.revision, values };
  }

  async #seal(record: VaultRecord<unknown>): Promise<StoreWrite> {
    const { kind, tenantId, recordId, revision, values } = record;
    const fields = kind.encode(values);
    const body = encodeRecord({ type: kind.type, storeId: this.storeId, tenantId, recordId, revision, fields });
    const seal = await this.#sealer.seal(body);
    return { op: "put", record: { type: kind.type, tenantId, recordId, revision, body, seal, ...kind.index(values) } };
  }

  #raise(key: string, revision: number): void {
    const seen = this.#watermarks.get(key);
    const mark = seen !== undefined && seen.revision >= revision ? seen : { revision, at: ++this.#clock };
    this.#watermarks.delete(key);
    this.#watermarks.set(key, mark);
    if (this.#watermarks.size <= MAX_WATERMARKS) return;
    for (const oldest of this.#watermarks.keys()) {
      this.#watermarks.delete(oldest);
      return;
    }
  }
}

/** A record that is not there yet. */
export function newRecord<V>(
  kind: RecordKind<V>,
  tenantId: Uint8Array,
  recordId: Uint8Array,
  values: V,
): VaultRecord<V> {
  return { kind, tenantId, recordId, revision: 1, values };
}

/** The successor of a record. Fields given as undefined are removed. */
export function nextRevision<V>(
  record: VaultRecord<V>,
  changes: { readonly [K in keyof V]?: V[K] | undefined },
): VaultRecord<V> {
  return { ...record, revision: record.revision + 1, values: { ...record.values, ...changes } };
}

function keyOf(ref: RecordRef): string {
  return `${ref.type}/${toHex(ref.tenantId)}/${toHex(ref.recordId)}`;
}
