/** Finding keys: by id or alias, in a tenant. Lookups go by primary key alone; index columns decide nothing. */

import { ascii, type Bytes, concat, toHex, u32, u64 } from "../bytes.js";
import { KeyNotFoundError } from "../errors.js";
import type { KmsCore } from "./core.js";
import { ALIAS, type AliasValues, KEY, type KeyValues, TENANT } from "./fields.js";
import { keyIdText, nameId, parseKeyRef, STORE_WIDE, tenantIdOf } from "./ids.js";
import { RECORD_TYPES } from "./record.js";
import { tampered, type VaultRecord } from "./vault.js";

/** A key as the store has it now. */
export interface ResolvedKey {
  readonly tenant: string;
  readonly tenantId: Uint8Array;
  /** 16 bytes. */
  readonly id: Uint8Array;
  /** 'cmk_…' */
  readonly keyId: string;
  /** As the caller named it, for messages. */
  readonly name: string;
  readonly record: VaultRecord<KeyValues>;
  /** Tells this key, in this state and at this KEK version, from every other: for cache keys. */
  readonly identity: Bytes;
}

export class Catalog {
  readonly #core: KmsCore;
  /** The revision each key was last seen at, to tell of changes by others. */
  readonly #seen = new Map<string, number>();

  constructor(core: KmsCore) {
    this.#core = core;
  }

  /** @throws KeyNotFoundError ERR_KEY_NOT_FOUND · InputError ERR_INPUT · StoreError */
  async resolve(ref: string, ownTenant: string): Promise<ResolvedKey> {
    const found = await this.#core.memory.remember(`ref ${ownTenant}:${ref}`, () => this.#load(ref, ownTenant));
    if (found === undefined) throw new KeyNotFoundError("ERR_KEY_NOT_FOUND", `no key "${ref}"`, { key: ref });
    return found;
  }

  /** The key of that id in that tenant, or undefined. */
  find(id: Uint8Array, tenant: string): Promise<ResolvedKey | undefined> {
    const name = keyIdText(id);
    return this.#core.memory.remember(`id ${tenant}:${name}`, () => this.#loadById(id, tenant, name));
  }

  /** The record of an alias; a removed one has no key. */
  async alias(tenantId: Uint8Array, alias: string): Promise<VaultRecord<AliasValues> | undefined> {
    const { vault } = this.#core;
    const record = await vault.get(ALIAS, tenantId, nameId(vault.storeId, tenantId, RECORD_TYPES.alias, alias));
    if (record !== undefined && record.values.name !== alias) throw tampered("an alias record of another name");
    return record;
  }

  /** The id of a tenant that exists, or undefined. */
  async tenantId(name: string): Promise<Uint8Array | undefined> {
    const { vault } = this.#core;
    const id = tenantIdOf(vault.storeId, name);
    const record = await vault.get(TENANT, STORE_WIDE, id);
    if (record === undefined) return undefined;
    if (record.values.name !== name) throw tampered("a tenant record of another name");
    return id;
  }

  /** A verified key record, with what goes with it. */
  resolved(tenant: string, tenantId: Uint8Array, record: VaultRecord<KeyValues>, name?: string): ResolvedKey {
    const { recordId: id, revision, values } = record;
    const { storeId } = this.#core.vault;
    const keyId = keyIdText(id);
    const identity = concat(
      ascii("ladder"),
      storeId,
      tenantId,
      id,
      values.kekId,
      u32(values.kekVersion),
      u64(revision),
    );
    return { tenant, tenantId, id, keyId, name: name ?? keyId, record, identity };
  }

  async #load(ref: string, ownTenant: string): Promise<ResolvedKey | undefined> {
    const { tenant, id, alias } = parseKeyRef(ref, ownTenant);
    if (id !== undefined) return this.#loadById(id, tenant, ref);
    const tenantId = await this.tenantId(tenant);
    if (tenantId === undefined || alias === undefined) return undefined;
    const target = (await this.alias(tenantId, alias))?.values.keyId;
    if (target === undefined) return undefined;
    const key = await this.#loadById(target, tenant, ref);
    if (key === undefined) throw tampered("an alias of a key that is gone");
    return key;
  }

  async #loadById(id: Uint8Array, tenant: string, name: string): Promise<ResolvedKey | undefined> {
    const tenantId = await this.tenantId(tenant);
    if (tenantId === undefined) return undefined;
    const record = await this.#core.vault.get(KEY, tenantId, id);
    if (record === undefined) return undefined;
    const keyId = keyIdText(id);
    this.#notice(keyId, record.revision);
    return this.resolved(tenant, tenantId, record, name);
  }

  #notice(keyId: string, revision: number): void {
    const before = this.#seen.get(keyId);
    this.#seen.set(keyId, revision);
    if (before !== undefined && before !== revision) this.#core.changed({ keyId, what: "updated" });
  }
}

/** For maps keyed by an id. */
export function idText(id: Uint8Array, version: number): string {
  return `${toHex(id)}/${version}`;
}
