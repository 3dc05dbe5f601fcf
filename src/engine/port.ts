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
}
