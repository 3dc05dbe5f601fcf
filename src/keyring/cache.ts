/**
 * Reuse of data keys for a bounded time, count and volume, so that a slow HSM or KMS is asked once for many messages.
 * Each message still has its own id and derived key. Concurrent misses share one request.
 */

import { EMPTY, u16, utf8 } from "../bytes.js";
import { type Duration, parseDuration } from "../duration.js";
import { shareDataKey } from "../engine/data-key.js";
import { fieldsText } from "../engine/primitives.js";
import { InputError } from "../errors.js";
import { NO_PAIRS, serializeContext } from "../message/context.js";
import { PUBLIC_KEY_CONTEXT_KEY } from "../message/limits.js";
import { checkKeyring } from "./multi.js";
import type { GeneratedDataKey, Keyring, UnwrappedDataKey, UnwrapRequest, WrapRequest } from "./port.js";

export interface CacheOptions {
  /** How long a data key may serve, from its making or unwrapping. */
  readonly maxAge: Duration;
  /** How many messages one data key may seal. Default 2^20. */
  readonly maxMessages?: number;
  /** How many plaintext bytes one data key may seal. Default 2^36. */
  readonly maxBytes?: number;
  /** How many data keys to hold; the least recently used goes first. Default 1000. */
  readonly entries?: number;
}

export interface CacheStats {
  readonly hits: number;
  readonly misses: number;
}

const DEFAULTS = Object.freeze({ maxMessages: 2 ** 20, maxBytes: 2 ** 36, entries: 1000 });

const MAX_ATTEMPTS = 4;

type Cached = GeneratedDataKey | UnwrappedDataKey;

interface Entry<T extends Cached> {
  readonly value: T;
  readonly expiresAt: number;
  messagesLeft: number;
  bytesLeft: number;
}

/**
 * A keyring in front of `keyring` that reuses its data keys. Sealing reuses one only where suite and context are the
 * same and the plaintext's length is known ahead; messages of the signed suite get their own. Opening reuses one for the
 * same suite, context and encrypted data keys. In front of a multi keyring, the state of a ladder's key among its
 * keyrings is asked only where a data key is fetched: a suspended key may serve until `maxAge`.
 * @throws InputError ERR_INPUT
 */
export function cachingKeyring(keyring: Keyring, options: CacheOptions): Keyring {
  checkKeyring(keyring);
  const cache = new DataKeyCache(options);
  const authority = isAuthority(keyring) ? keyring : undefined;
  return {
    async generateDataKey(request) {
      const identity = authority === undefined ? EMPTY : await authority.authoriseGenerate(request);
      return cache.generate(identity, request, (shared) => keyring.generateDataKey(shared));
    },
    wrapDataKey: (request) => keyring.wrapDataKey(request),
    async unwrapDataKey(request) {
      const identity = authority === undefined ? EMPTY : await authority.authoriseUnwrap(request);
      if (identity === undefined) return undefined;
      return cache.unwrap(identity, request, (shared) => keyring.unwrapDataKey(shared));
    },
  };
}

/**
 * What a keyring may offer besides: whether its key may be used, and what tells the key in its present state from all
 * others. Asked before a cache is, so that a suspended key is not served from one (ladder rule 3).
 */
export interface Authority {
  authoriseGenerate(request: WrapRequest): Promise<Uint8Array>;
  /** Undefined where none of the encrypted data keys is the keyring's. */
  authoriseUnwrap(request: UnwrapRequest): Promise<Uint8Array | undefined>;
}

function isAuthority(keyring: Keyring): keyring is Keyring & Authority {
  const { authoriseGenerate, authoriseUnwrap } = keyring as Partial<Authority>;
  return typeof authoriseGenerate === "function" && typeof authoriseUnwrap === "function";
}

/** The cache itself: one may serve many keyrings, told apart by their identities. */
export class DataKeyCache {
  readonly #maxAgeMs: number;
  readonly #limits: { readonly maxMessages: number; readonly maxBytes: number; readonly entries: number };
  readonly #entries = new Map<string, Entry<Cached>>();
  readonly #inFlight = new Map<string, Promise<Entry<Cached> | undefined>>();
  #sweep: ReturnType<typeof setTimeout> | undefined;
  #epoch = 0;
  #hits = 0;
  #misses = 0;

  constructor(options: CacheOptions) {
    const { maxAge, ...given } = options ?? {};
    this.#maxAgeMs = parseDuration(maxAge, "maxAge");
    const { maxMessages = DEFAULTS.maxMessages, maxBytes = DEFAULTS.maxBytes, entries = DEFAULTS.entries } = given;
    for (const [name, value] of Object.entries({ maxMessages, maxBytes, entries })) {
      if (!Number.isSafeInteger(value) || value < 1) {
        throw new InputError("ERR_INPUT", `"${name}" expected a positive whole number`);
      }
    }
    if (maxMessages > 2 ** 32) throw new InputError("ERR_INPUT", '"maxMessages" expected at most 2^32');
    this.#limits = { maxMessages, maxBytes, entries };
  }

  get stats(): CacheStats {
    return { hits: this.#hits, misses: this.#misses };
  }

  /**
   * `fetch`'s data key, or one fetched before for the same identity, suite and context.
   * @param identity tells keyrings, keys and their versions apart
   */
  async generate(
    identity: Uint8Array,
    request: WrapRequest,
    fetch: (shared: WrapRequest) => Promise<GeneratedDataKey>,
  ): Promise<GeneratedDataKey> {
    const bytes = request.plaintextBytes;
    const countable = bytes !== undefined && bytes <= this.#limits.maxBytes;
    if (!countable || PUBLIC_KEY_CONTEXT_KEY in request.context) return fetch(request);
    return (await this.#get(cacheId("seal", identity, request), bytes, request, fetch)) ?? fetch(request);
  }

  /** As `generate`, also for the same encrypted data keys and demands. "Not mine" is not remembered. */
  async unwrap(
    identity: Uint8Array,
    request: UnwrapRequest,
    fetch: (shared: UnwrapRequest) => Promise<UnwrappedDataKey | undefined>,
  ): Promise<UnwrappedDataKey | undefined> {
    const { encryptedDataKeys, demandedContext = {} } = request;
    const id = cacheId("open", identity, request);
    return this.#get(id, undefined, request, (shared) => fetch({ ...shared, encryptedDataKeys, demandedContext }));
  }

  /** Forgets and wipes everything; what is being fetched now is not kept either. */
  purge(): void {
    this.#epoch++;
    this.#inFlight.clear();
    for (const id of [...this.#entries.keys()]) this.#drop(id);
    clearTimeout(this.#sweep);
    this.#sweep = undefined;
  }

  /** Undefined where the keyring says "not mine". Crowded out again and again, it asks without the cache. */
  async #get<T extends Cached>(
    id: string,
    bytes: number | undefined,
    request: WrapRequest,
    fetch: (shared: WrapRequest) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      request.signal?.throwIfAborted();
      const entry = this.#entries.get(id) as Entry<T> | undefined;
      const used = entry && this.#use(id, entry, bytes);
      if (used !== undefined) {
        if (attempt === 0) this.#hits++;
        return used;
      }
      if (attempt === 0) this.#misses++;
      const epoch = this.#epoch;
      const fetched = await aborted(this.#fetch(id, request, fetch), request.signal);
      if (fetched === undefined && epoch === this.#epoch) return undefined;
    }
    return fetch(request);
  }

  /** One request for all who miss at once, independent of any single caller's signal. */
  #fetch<T extends Cached>(
    id: string,
    request: WrapRequest,
    fetch: (shared: WrapRequest) => Promise<T | undefined>,
  ): Promise<Entry<Cached> | undefined> {
    const running = this.#inFlight.get(id);
    if (running !== undefined) return running;
    const epoch = this.#epoch;
    const { signal: _own, ...shared } = request;
    const started = (async () => {
      try {
        const value = await fetch(shared);
        return value && this.#keep(id, value, epoch);
      } finally {
        if (epoch === this.#epoch) this.#inFlight.delete(id);
      }
    })();
    this.#inFlight.set(id, started);
    return started;
  }

  #keep(id: string, value: Cached, epoch: number): Entry<Cached> | undefined {
    if (epoch !== this.#epoch) {
      value.dataKey[Symbol.dispose]();
      return undefined;
    }
    const { maxMessages, maxBytes, entries } = this.#limits;
    const entry = { value, expiresAt: now() + this.#maxAgeMs, messagesLeft: maxMessages, bytesLeft: maxBytes };
    this.#drop(id);
    if (this.#entries.size >= entries) this.#drop(this.#entries.keys().next().value as string);
    this.#entries.set(id, entry);
    this.#armSweep();
    return entry;
  }

  /** A share of the entry's data key, counted; undefined where the entry is spent, and then dropped. */
  #use<T extends Cached>(id: string, entry: Entry<T>, bytes: number | undefined): T | undefined {
    const spent = bytes !== undefined && (entry.messagesLeft < 1 || entry.bytesLeft < bytes);
    if (spent || now() >= entry.expiresAt) {
      this.#drop(id);
      return undefined;
    }
    if (bytes !== undefined) {
      entry.messagesLeft--;
      entry.bytesLeft -= bytes;
    }
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    return { ...entry.value, dataKey: shareDataKey(entry.value.dataKey) };
  }

  #drop(id: string): void {
    this.#entries.get(id)?.value.dataKey[Symbol.dispose]();
    this.#entries.delete(id);
  }

  /** Wipes what nobody asks for again. The timer never keeps a process alive. */
  #armSweep(): void {
    if (this.#sweep !== undefined) return;
    const timer = setTimeout(
      () => {
        this.#sweep = undefined;
        const time = now();
        for (const [id, entry] of this.#entries) if (time >= entry.expiresAt) this.#drop(id);
        if (this.#entries.size > 0) this.#armSweep();
      },
      Math.min(this.#maxAgeMs, 2 ** 31 - 1),
    );
    (timer as { unref?: () => void }).unref?.();
    this.#sweep = timer;
  }
}

/** Monotonic milliseconds: a clock set back must not stretch a key's age. */
function now(): number {
  return performance.now();
}

const PURPOSES = { seal: Uint8Array.of(1), open: Uint8Array.of(2) };

/** {purpose, keyring identity, suite, context, demands, encrypted data keys}, length-prefixed (ladder rule 3). */
function cacheId(purpose: "seal" | "open", identity: Uint8Array, request: WrapRequest | UnwrapRequest): string {
  const fields = [PURPOSES[purpose], identity, u16(request.suite), request.contextBytes];
  if ("encryptedDataKeys" in request) {
    fields.push(serializeContext(request.demandedContext ?? NO_PAIRS));
    for (const { providerId, providerInfo, ciphertext } of request.encryptedDataKeys) {
      fields.push(utf8(providerId, "a provider id"), providerInfo, ciphertext);
    }
  }
  return fieldsText(fields);
}

/** `promise`, or the signal's reason as soon as it aborts. */
function aborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
