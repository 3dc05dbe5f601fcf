/** An open keyset behind `Records`: its keys, how many records it may seal, and, where it has a home, news from there. */

import { type Bytes, compareBytes, wipe } from "../bytes.js";
import { InputError, KeyladderError, KeyNotFoundError, StoreError } from "../errors.js";
import type { Keyring } from "../keyring/port.js";
import { type TinkAlgorithm, wipeKeyset } from "../message/tink.js";
import { type KeysetSealing, openKeyset, sealKeyset, withNewPrimary } from "./keyset.js";
import type { KeysetHome } from "./keyset-home.js";
import { RecordKeys } from "./record-keys.js";
import { LeasedQuota, type Quota, unlimited } from "./record-quota.js";

export interface OpenKeyset {
  readonly name: string;
  /** As it was opened: a Tink encrypted keyset. @throws InputError ERR_INPUT where it was opened in the clear */
  readonly sealed: Bytes;
  readonly quota: Quota;
  /** The keys, to seal or to open with. @throws InputError ERR_CLOSED · why the key behind them may not be used now */
  keysFor(operation: "encrypt" | "decrypt"): RecordKeys;
  /** Of what is open, without asking whether it may be used. @throws InputError ERR_CLOSED */
  readonly keys: RecordKeys;
  /** Looks for news where that is due. */
  current(): Promise<void>;
  /** Looks for news now. True where the keys changed. */
  refresh(): Promise<boolean>;
  /** Wipes the keys and gives back what was leased. Idempotent; never rejects. */
  close(): Promise<void>;
}

function closed(): InputError {
  return new InputError("ERR_CLOSED", "these records were disposed");
}

/** A keyset without a home: as it was given, until it is closed. */
export class GivenKeyset implements OpenKeyset {
  readonly name: string;
  readonly quota: Quota;
  readonly #sealed: Bytes | undefined;
  #keys: RecordKeys | undefined;

  /** Takes `keys` over. */
  constructor(name: string, sealed: Bytes | undefined, keys: RecordKeys, quota: Quota) {
    this.name = name;
    this.#sealed = sealed;
    this.#keys = keys;
    this.quota = quota;
  }

  get sealed(): Bytes {
    if (this.#sealed === undefined)
      throw new InputError("ERR_INPUT", "a keyset opened in the clear has no sealed form");
    return this.#sealed;
  }

  get keys(): RecordKeys {
    if (this.#keys === undefined) throw closed();
    return this.#keys;
  }

  keysFor(): RecordKeys {
    return this.keys;
  }

  async current(): Promise<void> {}

  async refresh(): Promise<boolean> {
    return false;
  }

  async close(): Promise<void> {
    this.#keys?.wipe();
    this.#keys = undefined;
  }
}

export interface KeptKeysetOptions extends KeysetSealing<Keyring> {
  readonly home: KeysetHome;
  /** Of a keyset that is made, and of the first key of one. */
  readonly algorithm: TinkAlgorithm;
  /** How many records one key may seal, over all processes. */
  readonly maxRecords: number;
  /** Make it where there is none. */
  readonly create: boolean;
}

/** While in use, the store is asked for news about so often: another process rotated, or the key was suspended. */
const LOOK_AGAIN_MS = 1000;
/** Tries of a change that other processes keep overtaking. */
const TRIES = 16;

type Operation = "encrypt" | "decrypt";

/** A keyset in its home. */
export class KeptOpenKeyset implements OpenKeyset {
  readonly #options: KeptKeysetOptions;
  #sealed: Bytes;
  #keys: RecordKeys | undefined;
  #quota: Quota;
  readonly #refusals = new Map<Operation, unknown>();
  #lookedAt = performance.now();
  #looking: Promise<boolean> | undefined;
  #closing: Promise<void> | undefined;
  #closed = false;

  private constructor(options: KeptKeysetOptions, sealed: Bytes, keys: RecordKeys) {
    this.#options = options;
    this.#sealed = sealed;
    this.#keys = keys;
    this.#quota = this.#quotaOf(keys);
  }

  /**
   * Opens the keyset, or makes it: kept before it is used, and the same for all who make it at once.
   * @throws what the keyring and the home throw
   */
  static async open(options: KeptKeysetOptions): Promise<KeptOpenKeyset> {
    const { home } = options;
    await home.authorise("decrypt");
    for (let tries = 0; tries < TRIES; tries++) {
      const sealed = await home.load();
      if (sealed !== undefined) {
        const opened = new KeptOpenKeyset(options, sealed, await keysOf(sealed, options));
        try {
          await opened.#authorise();
          await opened.#quota.prepare();
          return opened;
        } catch (error) {
          await opened.close();
          throw error;
        }
      }
      if (!options.create) {
        throw new KeyNotFoundError("ERR_KEY_NOT_FOUND", `no keyset "${home.name}"`, { keyset: home.name });
      }
      await addPrimary(options, undefined);
    }
    throw conflict();
  }

  get name(): string {
    return this.#options.home.name;
  }

  get sealed(): Bytes {
    return this.#sealed;
  }

  get quota(): Quota {
    return this.#quota;
  }

  get keys(): RecordKeys {
    if (this.#keys === undefined) throw closed();
    return this.#keys;
  }

  keysFor(operation: Operation): RecordKeys {
    const { keys } = this;
    if (this.#isDue()) {
      // In the background: what it finds counts from the next call on.
      this.refresh().catch((error: unknown) => this.#noteFailure(error));
    }
    if (this.#refusals.has(operation)) throw this.#refusals.get(operation);
    return keys;
  }

  async current(): Promise<void> {
    if (this.#isDue()) await this.refresh();
  }

  refresh(): Promise<boolean> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** A new primary key; the others go on opening. Kept before it is used. @throws StoreError ERR_STORE_CONFLICT */
  async rotate(): Promise<void> {
    const { home } = this.#options;
    for (let tries = 0; tries < TRIES; tries++) {
      const { algorithm } = this.keys.primary;
      await home.authorise("encrypt");
      const sealed = await home.load();
      const added = sealed !== undefined && (await addPrimary({ ...this.#options, algorithm }, sealed));
      await this.refresh();
      if (added) return;
    }
    throw conflict();
  }

  close(): Promise<void> {
    this.#keys?.wipe();
    this.#keys = undefined;
    this.#closing ??= this.#quota.release().then(() => {
      this.#closed = true;
    });
    return this.#closing;
  }

  /** Nothing is left to give back. */
  get closed(): boolean {
    return this.#closed;
  }

  #isDue(): boolean {
    return performance.now() - this.#lookedAt > LOOK_AGAIN_MS;
  }

  async #look(): Promise<boolean> {
    this.#lookedAt = performance.now();
    await this.#authorise();
    const sealed = await this.#options.home.load();
    if (sealed === undefined || compareBytes(sealed, this.#sealed) === 0) return false;
    const keys = await keysOf(sealed, this.#options);
    if (this.#keys === undefined) {
      keys.wipe(); // closed meanwhile
      return false;
    }
    const before = this.#keys;
    this.#sealed = sealed;
    this.#keys = keys;
    before.wipe();
    if (before.primary.keyId !== keys.primary.keyId) {
      const old = this.#quota;
      this.#quota = this.#quotaOf(keys);
      await Promise.all([old.release(), this.#quota.prepare()]);
    }
    return true;
  }

  /** Notes what the key's state, or its absence, forbids. @throws StoreError and whatever else says nothing of the key */
  async #authorise(): Promise<void> {
    for (const operation of ["encrypt", "decrypt"] as const) {
      try {
        await this.#options.home.authorise(operation);
        this.#refusals.delete(operation);
      } catch (error) {
        if (KeyladderError.is(error) && !(error instanceof StoreError)) this.#refusals.set(operation, error);
        else throw error;
      }
    }
  }

  /** A store that is away for a while stops nothing that was leased; one that was tampered with does. */
  #noteFailure(error: unknown): void {
    if (!KeyladderError.is(error, "ERR_STORE_TAMPERED")) return;
    this.#refusals.set("encrypt", error).set("decrypt", error);
  }

  #quotaOf({ primary }: RecordKeys): Quota {
    const { home, maxRecords } = this.#options;
    return primary.algorithm.name === "aes-gcm" ? new LeasedQuota(home, primary.keyId, maxRecords) : unlimited();
  }
}

function conflict(): StoreError {
  return new StoreError("ERR_STORE_CONFLICT", "others keep changing the keyset", { retryable: true });
}

async function keysOf(sealed: Uint8Array, options: KeptKeysetOptions): Promise<RecordKeys> {
  const { keyset } = await openKeyset(sealed, options, options.home.name);
  return new RecordKeys(keyset, options.engine);
}

/** Keeps the keyset with a new primary key; false where somebody else was first. */
async function addPrimary(options: KeptKeysetOptions, before: Bytes | undefined): Promise<boolean> {
  const { home, algorithm } = options;
  await home.authorise("encrypt");
  const opened = before === undefined ? undefined : await openKeyset(before, options, home.name);
  try {
    const made = await withNewPrimary(opened?.keyset, algorithm, (bytes) => home.random(bytes));
    try {
      const sealed = await sealKeyset(home.name, made.primaryKeyId, made.keys, options);
      return await home.save(sealed, before, algorithm.name === "aes-gcm" ? made.primaryKeyId : undefined);
    } finally {
      for (const { key } of made.keys) wipe(key);
    }
  } finally {
    if (opened !== undefined) wipeKeyset(opened.keyset);
  }
}
