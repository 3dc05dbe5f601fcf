/** `openLadder`: HSM, store, keys, cache and engine as one object. No logic of its own. */

import type { Bytes } from "./bytes.js";
import type { Engine, EngineName } from "./engine/port.js";
import { selectEngine } from "./engine/select.js";
import { type DecryptResult, openMessage } from "./envelope/decrypt.js";
import { sealMessage } from "./envelope/encrypt.js";
import { algorithmOf, type RecordCipher } from "./envelope/keyset.js";
import { checkMaxRecords } from "./envelope/open-records.js";
import type { CommitmentPolicy, DecryptOptions, EncryptOptions } from "./envelope/options.js";
import { DEFAULT_MAX_RECORDS } from "./envelope/record-quota.js";
import { KeptRecords, type Records } from "./envelope/records.js";
import { InputError } from "./errors.js";
import type { Hsm, HsmDriver, HsmSession } from "./hsm/port.js";
import { type Authority, type CacheOptions, type CacheStats, DataKeyCache } from "./keyring/cache.js";
import type { LadderUnwrapper } from "./keyring/ladder.js";
import type { Keyring, Unwrapper } from "./keyring/port.js";
import { checkName } from "./kms/ids.js";
import type { Keys } from "./kms/keys.js";
import type { Kms } from "./kms/kms.js";
import type { KeyRef } from "./kms/options.js";
import type { KeyTree } from "./kms/tree.js";
import { type EncryptionContext, readContext } from "./message/context.js";
import type { WritableSuiteId } from "./message/suites.js";
import { defaultEngine, withDefaultPool } from "./pool/default.js";
import { checkPoolOptions, Pool, type PoolOptions } from "./pool/pool.js";
import type { Store, StoreDriver, StoreSession } from "./store/port.js";
import { Work } from "./work.js";

export interface LadderOptions {
  /** Where the master keys are: `softwareHsm({ … })`. */
  readonly hsm: Hsm;
  /** Where the sealed records are: `sqliteStore({ … })`. */
  readonly store: Store;
  /** Make token and store where there are none. Default false: a mistyped path is an error, not a new, empty ladder. */
  readonly create?: false | "if-missing";
  /** Whose keys this handle uses. Default "default". */
  readonly tenant?: string;
  /** Reuse of data keys; false for none. Default 60 s, 2^20 messages, 2^36 bytes, 1000 entries. */
  readonly cache?: false | Partial<CacheOptions>;
  /** The bulk engine of `encrypt` and `decrypt` on this handle. Default "auto". */
  readonly engine?: "auto" | EngineName;
  /**
   * Threads that help with large `encrypt` and `decrypt` on this handle; they go when it is closed. False: none. Default:
   * those that all calls share.
   */
  readonly pool?: false | PoolOptions;
  /** For `encrypt` and `decrypt` on this handle. */
  readonly defaults?: {
    readonly suite?: WritableSuiteId;
    readonly frameBytes?: number;
    readonly commitmentPolicy?: CommitmentPolicy;
    readonly maxEncryptedDataKeys?: number;
  };
}

export interface LadderInfo {
  readonly hsm: readonly {
    readonly kind: string;
    readonly label: string;
    readonly serial: string;
    readonly hardware: boolean;
    readonly health: "up" | "down";
    readonly warnings: readonly string[];
  }[];
  readonly store: { readonly kind: string; readonly schema: number };
  readonly cache: CacheStats;
  /** How many keys the store holds, of all tenants. */
  readonly keys: number;
  /** Object ids (hex) of keys resident in the token that no key of the store refers to. */
  readonly orphanedResidentKeys: readonly string[];
}

export interface RecordsOptions {
  readonly key: KeyRef;
  /** The keyset's name: one of a name in a tenant. */
  readonly keyset: string;
  /** Bound to the keyset, and stored in clear with it. */
  readonly context?: EncryptionContext;
  /** How many records one key of the keyset may seal, over all processes: at most 2^32. Default 2^31. */
  readonly maxRecords?: number;
  /** Make the keyset where there is none. Default true. */
  readonly create?: boolean;
  /** Of a keyset that is made now. Default "aes-256-gcm". "xaes-256-gcm" costs more a record, and has no such limit. */
  readonly cipher?: RecordCipher;
}

/** Keys, and what is below each. */
export interface LadderKeys extends Keys {
  /** The ladder below a key: its CMK versions and KEKs. No secret is in it. @throws KeyNotFoundError ERR_KEY_NOT_FOUND */
  tree(key: KeyRef): Promise<KeyTree>;
}

/** An open ladder. Every method rejects with InputError ERR_CLOSED once it is closed. */
export interface Ladder extends AsyncDisposable {
  /** `encrypt` under one of the ladder's keys. @throws as `encrypt` · KeyNotFoundError · KeyStateError · HsmError · StoreError */
  encrypt(plaintext: Uint8Array | string, options: Omit<EncryptOptions, "keyring"> & { key: KeyRef }): Promise<Bytes>;
  /**
   * `decrypt` under the key named, or under any key of this handle's tenant and no other's; the result says which.
   * @throws as `decrypt` · KeyNotFoundError · KeyStateError · HsmError · StoreError
   */
  decrypt(message: Uint8Array, options?: Omit<DecryptOptions, "keyring"> & { key?: KeyRef }): Promise<DecryptResult>;
  /** One key as a keyring, for files, streams, ranges and `multiKeyring`. */
  keyring(key: KeyRef): Keyring;
  /** Any key of this handle's tenant: opens only. */
  keyring(): Unwrapper;
  /**
   * Records under a keyset that lives in the store: there, or made now and saved before its first use.
   * @throws InputError ERR_INPUT · KeyNotFoundError · KeyStateError · HsmError · StoreError
   */
  records(options: RecordsOptions): Promise<Records>;
  readonly keys: LadderKeys;
  info(): Promise<LadderInfo>;
  /** Finishes work under way, wipes keys, lets go of token and store. Idempotent. Forgotten: the process still exits. */
  close(): Promise<void>;
}

const OPTIONS = ["hsm", "store", "create", "tenant", "cache", "engine", "pool", "defaults"];

/**
 * Opens token and store as one ladder.
 * @throws InputError ERR_INPUT · KeyNotFoundError ERR_LADDER_NOT_FOUND · HsmError ERR_PASSPHRASE, ERR_HSM_REFUSED (this
 * token did not make this store) · StoreError
 */
export async function openLadder(options: LadderOptions): Promise<Ladder> {
  const { hsm: hsmDriver, store: storeDriver, create, tenant } = checkOptions(options);
  const cache = options.cache === false ? undefined : new DataKeyCache({ maxAge: "60s", ...options.cache });
  const { engine, pool } = engineOf(options);
  const [{ openKms }, keyrings] = await Promise.all([import("./kms/kms.js"), import("./keyring/ladder.js")]);
  const hsm = await hsmDriver.open({ create });
  let store: StoreSession | undefined;
  try {
    store = await storeDriver.open({ create });
    const kms = await openKms({ hsm, store, create });
    return new OpenLadder({
      hsm,
      store,
      kms,
      keyrings,
      cache,
      engine,
      pool,
      tenant,
      defaults: { ...options.defaults },
    });
  } catch (error) {
    await store?.close();
    await hsm.close();
    throw error;
  }
}

/** The engine with its pool; `pool` where it is this handle's own. @throws InputError · EngineError */
function engineOf({ engine, pool }: LadderOptions): { engine: Engine; pool?: Pool } {
  if (pool === undefined) {
    return { engine: engine === undefined ? defaultEngine() : withDefaultPool(selectEngine(engine)) };
  }
  const options = checkPoolOptions(pool);
  const bare = selectEngine(engine ?? process.env.KEYLADDER_ENGINE);
  if (options === undefined) return { engine: bare };
  const own = new Pool(options);
  return { engine: own.behind(bare), pool: own };
}

function checkOptions(options: LadderOptions): { hsm: HsmDriver; store: StoreDriver; create: boolean; tenant: string } {
  if (typeof options !== "object" || options === null) throw new InputError("ERR_INPUT", "expected an options object");
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined) throw new InputError("ERR_INPUT", `unknown option "${unknown}"`);
  const { hsm, store, create = false, tenant = "default" } = options;
  if (!opens<HsmDriver>(hsm)) throw new InputError("ERR_INPUT", '"hsm" expected what softwareHsm() returns');
  if (!opens<StoreDriver>(store)) throw new InputError("ERR_INPUT", '"store" expected what sqliteStore() returns');
  if (create !== false && create !== "if-missing") {
    throw new InputError("ERR_INPUT", '"create" expected false or "if-missing"');
  }
  return { hsm, store, create: create === "if-missing", tenant: checkName(tenant, "tenant") };
}

function opens<T>(driver: unknown): driver is T {
  return typeof (driver as { open?: unknown } | null | undefined)?.open === "function";
}

interface Parts {
  readonly hsm: HsmSession;
  readonly store: StoreSession;
  readonly kms: Kms;
  readonly keyrings: typeof import("./keyring/ladder.js");
  readonly cache: DataKeyCache | undefined;
  readonly engine: Engine;
  readonly pool: Pool | undefined;
  readonly tenant: string;
  readonly defaults: NonNullable<LadderOptions["defaults"]>;
}

class OpenLadder implements Ladder {
  readonly keys: LadderKeys;
  readonly #parts: Parts;
  readonly #records = new Set<KeptRecords>();
  readonly #work = new Work(() => new InputError("ERR_CLOSED", "the ladder is closed"));

  constructor(parts: Parts) {
    this.#parts = parts;
    const { kms, tenant, cache } = parts;
    const keys = kms.keys(tenant);
    const run = <T>(fn: () => Promise<T>): Promise<T> => this.#work.run(fn);
    this.keys = {
      create: (options) => run(() => keys.create(options)),
      describe: (key) => run(() => keys.describe(key)),
      list: (filter) => keys.list(filter),
      setAlias: (alias, key) => run(() => keys.setAlias(alias, key)),
      removeAlias: (alias) => run(() => keys.removeAlias(alias)),
      rotate: (key) => run(() => keys.rotate(key)),
      rotateDue: () => run(() => keys.rotateDue()),
      suspend: (key, options) => run(() => keys.suspend(key, options)),
      resume: (key) => run(() => keys.resume(key)),
      tree: (key) => run(() => kms.tree(key, tenant)),
    };
    kms.onChange(() => cache?.purge());
  }

  encrypt(plaintext: Uint8Array | string, given: Omit<EncryptOptions, "keyring"> & { key: KeyRef }): Promise<Bytes> {
    const { engine, defaults } = this.#parts;
    return this.#work.run(() => {
      const { key, ...options } = given ?? {};
      return sealMessage(plaintext, { ...defaults, ...options, keyring: this.#keyring(key) }, engine);
    });
  }

  decrypt(message: Uint8Array, given: Omit<DecryptOptions, "keyring"> & { key?: KeyRef } = {}): Promise<DecryptResult> {
    const { engine, defaults } = this.#parts;
    return this.#work.run(() => {
      const { commitmentPolicy, maxEncryptedDataKeys } = defaults;
      const { key, ...options } = given;
      // A key named and undefined is a mistake, not the wish for any key.
      const keyring = "key" in given ? this.#keyring(key) : this.#unwrapper();
      const bounds = {
        ...(commitmentPolicy === undefined ? {} : { commitmentPolicy }),
        ...(maxEncryptedDataKeys === undefined ? {} : { maxEncryptedDataKeys }),
      };
      return openMessage(message, { ...bounds, ...options, keyring }, engine);
    });
  }

  keyring(key: KeyRef): Keyring;
  keyring(): Unwrapper;
  keyring(...given: [KeyRef?]): Keyring | Unwrapper {
    const run = <T>(fn: () => Promise<T>): Promise<T> => this.#work.run(fn);
    if (given.length === 0) {
      const inner = this.#unwrapper();
      return { unwrapDataKey: (request) => run(() => inner.unwrapDataKey(request)) };
    }
    const inner = this.#keyring(given[0]);
    const keyring: Keyring & Authority = {
      generateDataKey: (request) => run(() => inner.generateDataKey(request)),
      wrapDataKey: (request) => run(() => inner.wrapDataKey(request)),
      unwrapDataKey: (request) => run(() => inner.unwrapDataKey(request)),
      authoriseGenerate: (request) => run(() => inner.authoriseGenerate(request)),
      authoriseUnwrap: (request) => run(() => inner.authoriseUnwrap(request)),
    };
    return keyring;
  }

  records(given: RecordsOptions): Promise<Records> {
    return this.#work.run(async () => {
      const { kms, keyrings, tenant, engine } = this.#parts;
      const { key, keyset, maxRecords, algorithm, context, create } = readRecordsOptions(given);
      const records = await KeptRecords.open({
        home: kms.keyset(key, tenant, keyset, context),
        keyring: keyrings.ladderKeyring(kms, tenant, key),
        context,
        engine,
        algorithm,
        maxRecords,
        create,
      });
      for (const other of this.#records) if (other.closed) this.#records.delete(other);
      this.#records.add(records);
      return records;
    });
  }

  async info(): Promise<LadderInfo> {
    const { hsm, store, kms, cache } = this.#parts;
    return this.#work.run(async () => {
      const { kind, label, serial, hardware, warnings } = await hsm.info();
      const health = await hsm.ping().then(
        () => "up" as const,
        () => "down" as const,
      );
      return {
        hsm: [{ kind, label, serial, hardware, health, warnings }],
        store: { kind: store.kind, schema: store.schema },
        cache: cache?.stats ?? { hits: 0, misses: 0 },
        keys: await kms.countKeys(),
        orphanedResidentKeys: await kms.orphanedResidentCmks(),
      };
    });
  }

  close(): Promise<void> {
    return this.#work.close(async () => {
      const { hsm, store, cache, pool } = this.#parts;
      cache?.purge();
      await pool?.close();
      await Promise.all([...this.#records].map((records) => records.close()));
      await hsm.close();
      await store.close();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** One key behind the cache. Not counted as work: whoever calls it is. */
  #keyring(key: unknown): Keyring & Authority {
    const { kms, keyrings, tenant, cache } = this.#parts;
    const inner = keyrings.ladderKeyring(kms, tenant, checkKeyRef(key));
    return {
      unwrapDataKey: cachedUnwrap(inner, cache),
      wrapDataKey: (request) => inner.wrapDataKey(request),
      authoriseGenerate: (request) => inner.authoriseGenerate(request),
      authoriseUnwrap: (request) => inner.authoriseUnwrap(request),
      async generateDataKey(request) {
        if (cache === undefined) return inner.generateDataKey(request);
        const identity = await inner.authoriseGenerate(request);
        return cache.generate(identity, request, (shared) => inner.generateDataKey(shared));
      },
    };
  }

  /** Any key of the tenant behind the cache. */
  #unwrapper(): Unwrapper {
    const { kms, keyrings, tenant, cache } = this.#parts;
    return { unwrapDataKey: cachedUnwrap(keyrings.ladderUnwrapper(kms, tenant), cache) };
  }
}

const RECORDS_OPTIONS = ["key", "keyset", "context", "maxRecords", "create", "cipher"];

/** @throws InputError ERR_INPUT */
function readRecordsOptions(given: RecordsOptions) {
  if (typeof given !== "object" || given === null) throw new InputError("ERR_INPUT", "expected an options object");
  const unknown = Object.keys(given).find((name) => !RECORDS_OPTIONS.includes(name));
  if (unknown !== undefined) throw new InputError("ERR_INPUT", `unknown option "${unknown}"`);
  const { cipher = "aes-256-gcm", create = true } = given;
  if (typeof create !== "boolean") throw new InputError("ERR_INPUT", '"create" expected true or false');
  if (cipher !== "aes-256-gcm" && cipher !== "xaes-256-gcm") {
    throw new InputError("ERR_INPUT", '"cipher" expected "aes-256-gcm" or "xaes-256-gcm"');
  }
  return {
    key: checkKeyRef(given.key),
    keyset: given.keyset,
    context: readContext(given.context),
    maxRecords: checkMaxRecords(given.maxRecords, DEFAULT_MAX_RECORDS),
    algorithm: algorithmOf(cipher),
    create,
  };
}

/** @throws InputError ERR_INPUT */
function checkKeyRef(key: unknown): string {
  if (typeof key === "string" && key !== "") return key;
  throw new InputError("ERR_INPUT", '"key" expected a key id, an alias or "tenant:alias"');
}

/** Who may use the key is asked before the cache is (ladder rule 3). */
function cachedUnwrap(inner: LadderUnwrapper, cache: DataKeyCache | undefined): Unwrapper["unwrapDataKey"] {
  return async (request) => {
    if (cache === undefined) return inner.unwrapDataKey(request);
    const identity = await inner.authoriseUnwrap(request);
    if (identity === undefined) return undefined;
    return cache.unwrap(identity, request, (shared) => inner.unwrapDataKey(shared));
  };
}
