/** Data keys: who may have one (state, usage, context), made, wrapped and unwrapped in the HSM. */

import { DataKey, useDataKey } from "../engine/data-key.js";
import { InputError, KeyStateError } from "../errors.js";
import type { SealedDataKey } from "../hsm/port.js";
import type { EncryptionContext } from "../message/context.js";
import type { Catalog, ResolvedKey } from "./catalog.js";
import type { KmsCore } from "./core.js";
import { activeKek, advanceKek, type Kek, loadKek } from "./keks.js";
import { Leases } from "./leases.js";
import { keyStateAt } from "./state.js";
import { tampered } from "./vault.js";

/** Which KEK version wraps a data key. */
export interface KekRef {
  /** 16 bytes. */
  readonly kekId: Uint8Array;
  readonly kekVersion: number;
}

/** A wrapped data key and what is public about who wrapped it. */
export interface WrappedDataKey extends KekRef {
  readonly sealed: SealedDataKey;
  /** The CMK version reported for the message. */
  readonly keyVersion: number;
}

/** Associated data for the KEK that was chosen. */
type AadOf = (kek: KekRef) => Uint8Array;

export class DataKeys {
  readonly #core: KmsCore;
  readonly #catalog: Catalog;
  readonly #leases: Leases;
  readonly #advances = new Map<string, Promise<void>>();

  constructor(core: KmsCore, catalog: Catalog) {
    this.#core = core;
    this.#catalog = catalog;
    this.#leases = new Leases(core);
  }

  /**
   * Checks state, usage and context: the pairs to be bound, or, for opening, those the caller demands. Costs no I/O beyond asking whether the store changed.
   * @throws KeyStateError · InputError ERR_INPUT where a required context key is missing
   */
  authorise(key: ResolvedKey, operation: "encrypt" | "decrypt", context: EncryptionContext): void {
    const { values } = key.record;
    const refuse = (code: ConstructorParameters<typeof KeyStateError>[0], why: string) =>
      new KeyStateError(code, `key "${key.name}" ${why}`, { keyId: key.keyId });
    switch (keyStateAt(values, this.#core.now())) {
      case "pre-active":
        throw refuse("ERR_KEY_NOT_ACTIVE", `is not active before ${new Date(values.activatesAt ?? 0).toISOString()}`);
      case "suspended":
        throw refuse("ERR_KEY_SUSPENDED", "is suspended");
      case "deactivated":
        if (operation === "encrypt")
          throw refuse("ERR_KEY_DEACTIVATED", "has expired: it opens what it sealed, no more");
        break;
      case "active":
        break;
      default:
        throw refuse("ERR_KEY_DEACTIVATED", "is no longer in use");
    }
    for (const name of values.contextKeys ?? []) {
      if (!Object.hasOwn(context, name)) {
        throw new InputError("ERR_INPUT", `key "${key.name}" requires context "${name}"`);
      }
    }
  }

  /** A fresh data key of `bytes`. The caller disposes it. @throws HsmError · StoreError */
  async generate(
    key: ResolvedKey,
    bytes: 16 | 24 | 32,
    aadOf: AadOf,
  ): Promise<WrappedDataKey & { readonly dataKey: DataKey }> {
    const { kek, ...ref } = await this.#takeWrap(key);
    const { dataKey, ...sealed } = await this.#core.hsm.generateDataKey({ path: kek.path, bytes, aad: aadOf(ref) });
    return { ...ref, sealed, keyVersion: kek.originVersion, dataKey: DataKey.fromBytes(dataKey) };
  }

  /** `dataKey` is borrowed. */
  async wrap(key: ResolvedKey, dataKey: DataKey, aadOf: AadOf): Promise<WrappedDataKey> {
    const { kek, ...ref } = await this.#takeWrap(key);
    const copy = useDataKey(dataKey, (bytes) => bytes.slice());
    try {
      const sealed = await this.#core.hsm.wrapDataKey({ path: kek.path, dataKey: copy, aad: aadOf(ref) });
      return { ...ref, sealed, keyVersion: kek.originVersion };
    } finally {
      copy.fill(0);
    }
  }

  /** Undefined where the key has no such KEK, or the tag does not verify. The caller disposes the data key. */
  async unwrap(
    key: ResolvedKey,
    { kekId, kekVersion }: KekRef,
    sealed: SealedDataKey,
    aad: Uint8Array,
  ): Promise<{ readonly dataKey: DataKey; readonly keyVersion: number } | undefined> {
    const kek = await this.#current(key, (fresh) => loadKek(this.#core, fresh, kekId, kekVersion));
    if (kek === undefined) return undefined;
    if (kek.record.values.state === "pre-active") throw tampered("a KEK that was in use and says it was not");
    const bytes = await this.#core.hsm.unwrapDataKey({ path: kek.path, sealed, aad });
    return bytes === undefined ? undefined : { dataKey: DataKey.fromBytes(bytes), keyVersion: kek.originVersion };
  }

  /** The active KEK, with one wrap of it taken. Goes on to the next version where the wraps are used up. */
  async #takeWrap(key: ResolvedKey): Promise<KekRef & { readonly kek: Kek }> {
    for (;;) {
      const [fresh, kek] = await this.#current(key, async (now) => [now, await activeKek(this.#core, now)] as const);
      const { kekId, kekVersion } = fresh.record.values;
      if (await this.#leases.take(fresh.tenantId, kekId, kekVersion)) return { kekId, kekVersion, kek };
      await this.#advance(fresh);
    }
  }

  /** `read` with the key as the store has it now, so that key and KEK agree. */
  #current<T>(key: ResolvedKey, read: (fresh: ResolvedKey) => Promise<T>): Promise<T> {
    return this.#core.memory.consistently(async () => {
      const fresh = await this.#catalog.find(key.id, key.tenant);
      if (fresh === undefined) throw tampered("no key record where there was one");
      return read(fresh);
    });
  }

  /** Concurrent callers share one. */
  #advance(key: ResolvedKey): Promise<void> {
    let advance = this.#advances.get(key.keyId);
    if (advance === undefined) {
      advance = advanceKek(this.#core, this.#catalog, key).finally(() => this.#advances.delete(key.keyId));
      this.#advances.set(key.keyId, advance);
    }
    return advance;
  }
}
