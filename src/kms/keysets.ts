/** Named keysets for records: kept sealed in the store, one of a name in a tenant, each under one key. */

import { type Bytes, compareBytes, copyOf } from "../bytes.js";
import { InputError, KeyladderError } from "../errors.js";
import type { EncryptionContext } from "../message/context.js";
import type { Catalog, ResolvedKey } from "./catalog.js";
import type { KmsCore } from "./core.js";
import type { DataKeys } from "./data-keys.js";
import { KEYSET, type KeysetValues, LEASE } from "./fields.js";
import { checkName, nameId, versionId } from "./ids.js";
import { type LeaseRef, leaseRange, returnUses } from "./leases.js";
import { RECORD_TYPES } from "./record.js";
import { newRecord, nextRevision, tampered, type VaultRecord } from "./vault.js";

/** One keyset, there or to be made. */
export class Keyset {
  readonly name: string;
  readonly #core: KmsCore;
  readonly #catalog: Catalog;
  readonly #dataKeys: DataKeys;
  readonly #tenant: string;
  readonly #key: string;
  readonly #context: EncryptionContext;

  /**
   * @param key a reference as seen from `tenant`
   * @param context what the keyset is bound to
   * @throws InputError ERR_INPUT for a name there cannot be
   */
  constructor(
    parts: { readonly core: KmsCore; readonly catalog: Catalog; readonly dataKeys: DataKeys },
    which: {
      readonly tenant: string;
      readonly key: string;
      readonly name: unknown;
      readonly context: EncryptionContext;
    },
  ) {
    this.#core = parts.core;
    this.#catalog = parts.catalog;
    this.#dataKeys = parts.dataKeys;
    this.#tenant = which.tenant;
    this.#key = which.key;
    this.#context = which.context;
    this.name = checkName(which.name, "keyset");
  }

  /** As the store has it now. @throws KeyNotFoundError · StoreError · InputError ERR_INPUT where it is under another key */
  async load(): Promise<Bytes | undefined> {
    const record = await this.#record(await this.#resolve());
    return record === undefined ? undefined : copyOf(record.values.sealed);
  }

  async #record(key: ResolvedKey): Promise<VaultRecord<KeysetValues> | undefined> {
    const record = await this.#core.memory.remember(`keyset ${key.tenant}:${this.name}`, () =>
      this.#core.vault.get(KEYSET, key.tenantId, this.#id(key)),
    );
    if (record === undefined) return undefined;
    if (record.values.name !== this.name) throw tampered("a keyset record of another name");
    if (compareBytes(record.values.keyId, key.id) !== 0) {
      throw new InputError("ERR_INPUT", `keyset "${this.name}" is under another key than "${this.#key}"`);
    }
    return record;
  }

  /**
   * Writes the keyset, and the count of a new key's records with it.
   * @returns false where somebody else was first
   */
  async save(sealed: Bytes, before: Bytes | undefined, leasedKeyId: number | undefined): Promise<boolean> {
    const key = await this.#resolve();
    const now = this.#core.now();
    const id = this.#id(key);
    const record = await this.#record(key);
    const sameAsBefore = before === undefined ? record === undefined : isSealed(record, before);
    if (!sameAsBefore) return false;
    const keyset =
      record === undefined
        ? newRecord(KEYSET, key.tenantId, id, {
            name: this.name,
            keyId: key.id,
            sealed,
            createdAt: now,
            changedAt: now,
          })
        : nextRevision(record, { sealed, changedAt: now });
    const lease =
      leasedKeyId === undefined
        ? []
        : [
            newRecord(LEASE, key.tenantId, versionId(id, leasedKeyId), {
              lineId: id,
              version: leasedKeyId,
              leased: 0,
              createdAt: now,
            }),
          ];
    try {
      await this.#core.vault.commit([keyset, ...lease]);
      return true;
    } catch (error) {
      if (KeyladderError.is(error, "ERR_STORE_CONFLICT")) return false;
      throw error;
    }
  }

  /** @returns how many of `records` there were, and how many are left besides */
  async lease(keyId: number, records: number, most: number): Promise<{ granted: number; left: number }> {
    await this.authorise("encrypt");
    const { from, to } = await leaseRange(this.#core, await this.#leaseRef(keyId), records, most);
    return { granted: to - from, left: Math.max(0, most - to) };
  }

  async giveBack(keyId: number, records: number): Promise<void> {
    await returnUses(this.#core, await this.#leaseRef(keyId), records);
  }

  /** @throws KeyStateError · KeyNotFoundError · InputError ERR_INPUT (a required context key is missing) · StoreError */
  async authorise(operation: "encrypt" | "decrypt"): Promise<void> {
    this.#dataKeys.authorise(await this.#resolve(), operation, this.#context);
  }

  random(bytes: number): Promise<Uint8Array> {
    return this.#core.hsm.random(bytes);
  }

  #resolve(): Promise<ResolvedKey> {
    return this.#catalog.resolve(this.#key, this.#tenant);
  }

  #id({ tenantId }: ResolvedKey): Bytes {
    return nameId(this.#core.vault.storeId, tenantId, RECORD_TYPES.keyset, this.name);
  }

  async #leaseRef(keyId: number): Promise<LeaseRef> {
    const key = await this.#resolve();
    return { tenantId: key.tenantId, lineId: this.#id(key), version: keyId };
  }
}

function isSealed(record: VaultRecord<KeysetValues> | undefined, sealed: Uint8Array): boolean {
  return record !== undefined && compareBytes(record.values.sealed, sealed) === 0;
}
