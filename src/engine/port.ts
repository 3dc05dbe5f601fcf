/**
 * The AEAD port: what seals and opens a message's header and frames under a key derived from its data key.
 * Implemented by each engine, and again by the worker pool in front of one. Types only.
 */

import type { Suite } from "../message/suites.js";
import type { DataKey } from "./data-key.js";

export type EngineName = "native" | "openssl" | "wasm" | "webcrypto";
/** A synchronous engine answers at once, so that a small message costs no turn of the event loop. */
export type Awaitable<T> = T | Promise<T>;

export interface Engine {
  readonly name: EngineName;
  /** The kernel in use, where an engine has several. */
  readonly kernel?: string;
  /**
   * Derives the key of one message (HKDF with the message id, or the data key itself for suites without a KDF).
   * @param dataKey exactly `suite.dataKeyBytes` long; borrowed
   * @param messageId 16 bytes (version 1) or 32 (version 2); borrowed
   * @throws EngineError
   */
  messageKey(dataKey: DataKey, suite: Suite, messageId: Uint8Array): Awaitable<MessageKey>;
  /**
   * A key that seals and opens many small records, at once and on this thread.
   * @param dataKey borrowed; AES-GCM: 16, 24 or 32 bytes, XAES-GCM: 32
   * @throws EngineError ERR_SYNC_UNAVAILABLE where the engine only answers later
   */
  recordKey(dataKey: DataKey, algorithm: RecordAlgorithm): RecordKey;
}

/** The key of one message. Owned by whoever asked for it; `wipe` on every exit path. */
export interface MessageKey {
  /** 32 bytes for a committing suite. Not secret. */
  readonly commitment: Uint8Array | undefined;
  /** The 16-byte tag over `aad` and an empty plaintext (format: header authentication). */
  sealHeader(nonce: Uint8Array, aad: Uint8Array): Awaitable<Uint8Array>;
  /** False where the tag does not verify. */
  openHeader(nonce: Uint8Array, aad: Uint8Array, tag: Uint8Array): Awaitable<boolean>;
  /** Writes whole frames in wire form. `dst` is exactly `framesWireBytes(batch)` long and disjoint from `src`. */
  sealFrames(batch: FrameBatch): Awaitable<void>;
  /**
   * Opens whole frames. `src` is the wire form, `dst` exactly `framesPlaintextBytes(batch)` long; disjoint from it, or
   * in the same buffer and starting no later. False where any tag does not verify; `dst` is then zeroed. The caller has checked marks and sequence numbers.
   */
  openFrames(batch: FrameBatch): Awaitable<boolean>;
  /** Opens a non-framed body: nonce 12, ciphertext, tag 16, as `openFrames` does. Sequence number 1. */
  openBody(body: {
    messageId: Uint8Array;
    nonce: Uint8Array;
    ciphertext: Uint8Array;
    tag: Uint8Array;
    dst: Uint8Array;
  }): Awaitable<boolean>;
  wipe(): void;
}

/** Consecutive frames of one message. All arrays are borrowed until the call settles. */
export interface FrameBatch {
  readonly messageId: Uint8Array;
  readonly frameBytes: number;
  /** Sequence number of the first frame of the batch, from 1. */
  readonly firstSequence: number;
  /** How many regular frames, each carrying exactly `frameBytes`. */
  readonly regularFrames: number;
  /** Plaintext bytes of the final frame behind them (0 to `frameBytes`); undefined where the batch has none. */
  readonly finalBytes: number | undefined;
  readonly src: Uint8Array;
  readonly dst: Uint8Array;
  /** Given up: an engine that answers later rejects with the signal's reason, `dst` zeroed. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * AES-GCM with a nonce of 12 bytes, or XAES-256-GCM (C2SP): a nonce of `saltBytes` (8 to 12) that derive the record's
 * own key, then 12 bytes.
 */
export type RecordAlgorithm =
  | { readonly name: "aes-gcm" }
  | { readonly name: "xaes-256-gcm"; readonly saltBytes: number };

/** One key for many records. Owned by whoever asked for it; `wipe` when done. A sealed record: prefix, nonce, ciphertext, tag 16. */
export interface RecordKey {
  /** 12, or `saltBytes` + 12. */
  readonly nonceBytes: number;
  /** @throws InputError ERR_INPUT (offsets), ERR_OUTPUT_TOO_SMALL (`neededBytes`), ERR_OVERLAP */
  sealRecords(batch: SealRecords): void;
  /**
   * What does not open is left empty in `dst`, and `status` says why; the others are not disturbed.
   * @returns how many did not open
   */
  openRecords(batch: OpenRecords): number;
  wipe(): void;
}

export type Offsets = Uint32Array | Int32Array;

/**
 * Values back to back and where each begins (Arrow's variable-binary layout): value i is bytes `offsets[i]` to
 * `offsets[i + 1]`. The first offset need not be 0. All arrays are borrowed for the call; `dst` is disjoint from the others.
 */
interface RecordBatch {
  /** Stands before every record: 0 to 16 bytes. */
  readonly prefix: Uint8Array;
  readonly src: Uint8Array;
  /** How many values, and one more. */
  readonly srcOffsets: Offsets;
  /** Associated data of each value, in the same layout; undefined: none. */
  readonly aad: { readonly bytes: Uint8Array; readonly offsets: Offsets } | undefined;
  readonly dst: Uint8Array;
  /** As long as `srcOffsets`; written, from 0. */
  readonly dstOffsets: Offsets;
}

export interface SealRecords extends RecordBatch {
  /** `nonceBytes` for each value, never used before under this key. */
  readonly nonces: Uint8Array;
}

export interface OpenRecords extends RecordBatch {
  /** One byte a record, written: a `RecordStatus`. */
  readonly status: Uint8Array;
}

/** Opened · its tag does not verify · it begins with another prefix · it is shorter than prefix, nonce and tag. */
export type RecordStatus = 0 | 1 | 2 | 3;
