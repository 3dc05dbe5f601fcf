/** The one owner of secret bytes: used through `use`, wiped by `wipe`, never printed. */

import { copyOf, wipe } from "../bytes.js";
import { InputError } from "../errors.js";

const INSPECT = Symbol.for("nodejs.util.inspect.custom");

export class SecretBytes {
  #bytes: Uint8Array | undefined;

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    Object.defineProperty(this, INSPECT, { value: () => "SecretBytes [redacted]" });
  }

  /** Copies `bytes`; wiping the caller's array stays the caller's job. */
  static copy(bytes: Uint8Array): SecretBytes {
    return new SecretBytes(copyOf(bytes));
  }

  /** Takes `bytes` over: the caller must not use the array again. */
  static own(bytes: Uint8Array): SecretBytes {
    return new SecretBytes(bytes);
  }

  get byteLength(): number {
    return this.#live().length;
  }

  /** Lends the bytes to `fn`, which must not keep them. @throws InputError ERR_CLOSED after `wipe` */
  use<T>(fn: (bytes: Uint8Array) => T): T {
    return fn(this.#live());
  }

  wipe(): void {
    wipe(this.#bytes);
    this.#bytes = undefined;
  }

  toJSON(): string {
    return "[redacted]";
  }

  #live(): Uint8Array {
    if (this.#bytes === undefined) throw new InputError("ERR_CLOSED", "this key was already wiped");
    return this.#bytes;
  }
}
