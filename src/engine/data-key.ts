/** The plaintext of a data key (DEK), counted: several users may share one, the last to let go wipes it. */

import { wipe } from "../bytes.js";
import { InputError } from "../errors.js";
import type { KeyHandle } from "./addon.js";
import { SecretBytes, secretHandle } from "./secret-bytes.js";

/** Lends the raw bytes of a data key to `fn`, which must not keep them. Only engines and keyrings of ours call this. */
export let useDataKey: <T>(dataKey: DataKey, fn: (bytes: Uint8Array) => T) => T;
/** Its handle in the addon's memory; undefined where it is held in JavaScript. Lent: its owner disposes it. */
export let dataKeyHandle: (dataKey: DataKey) => KeyHandle | undefined;
/** A further owner of the same bytes: each disposes its own. */
export let shareDataKey: (dataKey: DataKey) => DataKey;

/**
 * A data key in the clear, in this process only. Hand it to whoever asked, who disposes it.
 * Printing or serialising it shows nothing.
 */
export class DataKey implements Disposable {
  readonly #shared: { readonly secret: SecretBytes; owners: number };
  #disposed = false;

  static {
    useDataKey = (dataKey, fn) => dataKey.#live().secret.use(fn);
    dataKeyHandle = (dataKey) => secretHandle(dataKey.#live().secret);
    shareDataKey = (dataKey) => {
      const shared = dataKey.#live();
      shared.owners++;
      return new DataKey(shared);
    };
  }

  private constructor(shared: { readonly secret: SecretBytes; owners: number }) {
    this.#shared = shared;
  }

  /**
   * Copies a key of 16, 24 or 32 bytes and wipes the array given.
   * @throws InputError ERR_INPUT for another length
   */
  static fromBytes(key: Uint8Array): DataKey {
    if (!(key instanceof Uint8Array)) throw new InputError("ERR_INPUT", '"key" expected a Uint8Array');
    if (key.length !== 16 && key.length !== 24 && key.length !== 32) {
      throw new InputError("ERR_INPUT", `"key" expected 16, 24 or 32 bytes, got ${key.length}`);
    }
    const secret = SecretBytes.copy(key);
    wipe(key);
    return new DataKey({ secret, owners: 1 });
  }

  /** 16, 24 or 32. */
  get byteLength(): number {
    return this.#live().secret.byteLength;
  }

  /** Lets go; the last owner's call wipes the bytes. Idempotent. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (--this.#shared.owners === 0) this.#shared.secret.wipe();
  }

  toJSON(): string {
    return "[redacted]";
  }

  #live(): { readonly secret: SecretBytes; owners: number } {
    if (this.#disposed) throw new InputError("ERR_CLOSED", "this data key was already disposed");
    return this.#shared;
  }
}
