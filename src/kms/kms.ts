/** The key service: keys over an HSM and a store, and data keys under them. */

import { toHex } from "../bytes.js";
import type { HsmSession } from "../hsm/port.js";
import type { EncryptionContext } from "../message/context.js";
import type { StoreSession } from "../store/port.js";
import { Catalog } from "./catalog.js";
import { type KeyChange, type KmsCore, Memory } from "./core.js";
import { DataKeys } from "./data-keys.js";
import { KEY, TENANT } from "./fields.js";
import { loadCmk } from "./keks.js";
import { createKeys, type Keys } from "./keys.js";
import { Keyset } from "./keysets.js";
import { KMS_LIMITS, type KmsLimits } from "./limits.js";
import { Sealer } from "./seal.js";
import { openVault } from "./setup.js";
import { type KeyTree, keyTree } from "./tree.js";

export interface KmsOptions {
  /** Open; stays the caller's to close. */
  readonly hsm: HsmSession;
  /** Open; stays the caller's to close. */
  readonly store: StoreSession;
  /** Give an empty store an identity. */
  readonly create: boolean;
  /** Lower bounds, for tests. */
  readonly limits?: Partial<KmsLimits>;
  /** The clock, ms UTC. */
  readonly now?: () => number;
}

export interface Kms {
  /** 16 bytes. */
  readonly storeId: Uint8Array;
  readonly catalog: Catalog;
  readonly dataKeys: DataKeys;
  /** The key operations for a handle of `tenant`. */
  keys(tenant: string): Keys;
  /** A named keyset under a key, there or to be made; `tenant` is the handle's. @throws InputError ERR_INPUT */
  keyset(key: string, tenant: string, name: unknown, context: EncryptionContext): Keyset;
  /** How many keys the store holds, of all tenants. */
  countKeys(): Promise<number>;
  /** The ladder below a key: its versions and KEKs. @throws KeyNotFoundError ERR_KEY_NOT_FOUND */
  tree(key: string, tenant: string): Promise<KeyTree>;
  /** Object ids (hex) of resident CMKs that no key of the store refers to: left by a process killed while making one. */
  orphanedResidentCmks(): Promise<string[]>;
  /** Told of every change of a key, also by other processes once it is noticed. Returns the way to stop. */
  onChange(listener: (change: KeyChange) => void): () => void;
}

/**
 * Opens the key service.
 * @throws KeyNotFoundError ERR_LADDER_NOT_FOUND · HsmError ERR_HSM_REFUSED · StoreError ERR_STORE_TAMPERED
 */
export async function openKms(options: KmsOptions): Promise<Kms> {
  const { hsm, store } = options;
  const now = options.now ?? Date.now;
  const vault = await openVault(hsm, store, new Sealer(hsm), options.create, now());
  const listeners = new Set<(change: KeyChange) => void>();
  const core: KmsCore = {
    hsm,
    token: await hsm.info(),
    vault,
    limits: { ...KMS_LIMITS, ...options.limits },
    memory: new Memory(vault),
    now,
    changed(change) {
      for (const listener of listeners) listener(change);
    },
  };
  const catalog = new Catalog(core);
  const dataKeys = new DataKeys(core, catalog);
  return {
    storeId: vault.storeId,
    catalog,
    dataKeys,
    keyset: (key, tenant, name, context) => new Keyset({ core, catalog, dataKeys }, { key, tenant, name, context }),
    keys: (tenant) => createKeys(core, catalog, tenant),
    countKeys: () => vault.count(KEY),
    tree: async (key, tenant) =>
      core.memory.consistently(async () => keyTree(core, await catalog.resolve(key, tenant))),
    orphanedResidentCmks: () => orphanedResidentCmks(core),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

const PAGE = 500;

async function orphanedResidentCmks(core: KmsCore): Promise<string[]> {
  // Asked of the HSM first: one that appears there later is not taken for an orphan before its record is written.
  const found = new Set((await core.hsm.listResidentCmks()).map(toHex));
  for await (const { tenantId, recordId, values } of allKeys(core)) {
    if (values.protection !== "resident") continue;
    for (let version = 1; version <= values.currentVersion && found.size > 0; version++) {
      const { location } = await loadCmk(core, tenantId, recordId, version);
      if (location.residence === "resident") found.delete(toHex(location.objectId));
    }
  }
  return [...found];
}

/** Every key of every tenant, by tenant. */
async function* allKeys(core: KmsCore) {
  for await (const tenant of pages((after) => core.vault.list(TENANT, { limit: PAGE, ...after }))) {
    yield* pages((after) => core.vault.list(KEY, { tenantId: tenant.recordId, limit: PAGE, ...after }));
  }
}

async function* pages<T extends { recordId: Uint8Array; values: { createdAt: number } }>(
  read: (after: { after?: { createdAt: number; recordId: Uint8Array } }) => Promise<T[]>,
) {
  let last: T | undefined;
  do {
    const after = last === undefined ? {} : { after: { createdAt: last.values.createdAt, recordId: last.recordId } };
    const records = await read(after);
    yield* records;
    last = records.length < PAGE ? undefined : records.at(-1);
  } while (last !== undefined);
}
