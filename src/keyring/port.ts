/** The keyring port: who can wrap a data key and unwrap it again. Public; a user can implement it. Types only. */

import type { DataKey } from "../engine/data-key.js";
import type { EncryptionContext } from "../message/context.js";
import type { EncryptedDataKey } from "../message/header.js";
import type { SuiteId } from "../message/suites.js";

/** What a keyring is asked. */
export interface WrapRequest {
  readonly suite: SuiteId;
  /** The length of the suite's data key. */
  readonly dataKeyBytes: 16 | 24 | 32;
  /** The full encryption context: stored, required and reserved pairs. Frozen; read once from the caller. */
  readonly context: EncryptionContext;
  /**
   * The same pairs as the message format serialises them (sorted by the UTF-8 bytes of the key; no bytes for no
   * pairs). Bind these as associated data. Borrowed; never change them.
   */
  readonly contextBytes: Uint8Array;
  /** The plaintext's length, where it is known ahead: a cache counts it. */
  readonly plaintextBytes?: number;
  readonly signal?: AbortSignal;
}

export interface UnwrapRequest extends WrapRequest {
  /** As the message carries them, in its order. Untrusted. */
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
  /**
   * Of `context`, the pairs the caller demanded; the others only stand in the message. A keyring that wants a pair to be
   * checked by whoever opens looks here. Absent: nothing was demanded.
   */
  readonly demandedContext?: EncryptionContext;
}

/** A data key made and wrapped. The receiver disposes `dataKey`. */
export interface GeneratedDataKey {
  readonly dataKey: DataKey;
  /** At least one: one for each master that can open the message. */
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
  /** Which key wrapped it, for people and logs. */
  readonly keyId: string;
  readonly keyVersion?: number;
}

/** A data key unwrapped. The receiver disposes `dataKey`. */
export interface UnwrappedDataKey {
  readonly dataKey: DataKey;
  /** Which key opened it, for people and logs. */
  readonly keyId: string;
  readonly keyVersion?: number;
}

/** Opens messages, cannot seal them. */
export interface Unwrapper {
  /**
   * The data key behind one of the encrypted data keys; undefined where none of them is this keyring's.
   * @throws DecryptError ERR_DECRYPT where one is this keyring's and does not open
   */
  unwrapDataKey(request: UnwrapRequest): Promise<UnwrappedDataKey | undefined>;
}

export interface Keyring extends Unwrapper {
  /** Makes a fresh random data key of `dataKeyBytes` and wraps it. */
  generateDataKey(request: WrapRequest): Promise<GeneratedDataKey>;
  /** Wraps a data key another keyring made, so that this one opens the message too. `dataKey` is borrowed. */
  wrapDataKey(request: WrapRequest & { readonly dataKey: DataKey }): Promise<EncryptedDataKey>;
}
