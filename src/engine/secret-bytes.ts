/**
 * The one owner of secret bytes: used through `use`, wiped by `wipe`, never printed. They live in the addon's locked
 * memory where it is loaded, else in a JavaScript array.
 */

import { copyOf, wipe } from "../bytes.js";
import { InputError } from "../errors.js";
import { type KeyHandle, loadAddon } from "./addon.js";

const INSPECT = Symbol.for("nodejs.util.inspect.custom");
/** The most that the addon takes; longer secrets stay in JavaScript. */
const MAX_SLOT_BYTES = 64;

/** The handle of a secret in the addon's memory; undefined where it is held in JavaScript. Lent, as `use` lends. */
export let secretHandle: (secret: SecretBytes) => KeyHandle | undefined;

/** Frees the slots of secrets that nobody wiped. */
const abandoned = new FinalizationRegistry<KeyHandle>((handle) => loadAddon().addon?.keyDispose(handle));

export class SecretBytes {
  readonly #length: number;
  #bytes: Uint8Array | undefined;
  #handle: KeyHandle | undefined;

  static {
    secretHandle = (secret) => {
      secret.#live();
      return secret.#handle;
    };
  }

  private constructor(bytes: Uint8Array, owned: boolean) {
    this.#length = bytes.length;
    const handle = slotOf(bytes);
    if (handle === undefined) {
      this.#bytes = owned ? bytes : copyOf(bytes);
    } else {
      this.#handle = handle;
      if (owned) wipe(bytes);
      abandoned.register(this, handle, this);
    }
    Object.defineProperty(this, INSPECT, { value: () => "SecretBytes [redacted]" });
  }

  /** Copies `bytes`; wiping the caller's array stays the caller's job. */
  static copy(bytes: Uint8Array): SecretBytes {
    return new SecretBytes(bytes, false);
  }

  /** Takes `bytes` over: the caller must not use the array again. */
  static own(bytes: Uint8Array): SecretBytes {
    return new SecretBytes(bytes, true);
  }

  get byteLength(): number {
    this.#live();
    return this.#length;
  }

  /**
   * Lends the bytes to `fn`, which must not keep or change them: they are a copy that is wiped when `fn` returns, or when
   * its promise settles. @throws InputError ERR_CLOSED after `wipe`
   */
  use<T>(fn: (bytes: Uint8Array) => T): T {
    this.#live();
    if (this.#bytes !== undefined) return fn(this.#bytes);
    const copy = this.#copy(this.#handle as KeyHandle);
    let result: T;
    try {
      result = fn(copy);
    } catch (error) {
      wipe(copy);
      throw error;
    }
    if (result instanceof Promise) return result.finally(() => wipe(copy)) as T;
    wipe(copy);
    return result;
  }

  wipe(): void {
    wipe(this.#bytes);
    this.#bytes = undefined;
    if (this.#handle === undefined) return;
    loadAddon().addon?.keyDispose(this.#handle);
    abandoned.unregister(this);
    this.#handle = undefined;
  }

  toJSON(): string {
    return "[redacted]";
  }

  #live(): void {
    if (this.#bytes === undefined && this.#handle === undefined) {
      throw new InputError("ERR_CLOSED", "this key was already wiped");
    }
  }

  /** Outside the JavaScript heap, whose garbage collector would leave copies behind as it moves arrays. */
  #copy(handle: KeyHandle): Uint8Array {
    const copy = new Uint8Array(new ArrayBuffer(this.#length));
    const answer = loadAddon().addon?.keyExport(handle, copy);
    if (answer !== this.#length) throw new InputError("ERR_CLOSED", "this key did not survive the fork of the process");
    return copy;
  }
}

/** A copy of `bytes` in the addon's memory; undefined where there is none, or no room. */
function slotOf(bytes: Uint8Array): KeyHandle | undefined {
  if (bytes.length === 0 || bytes.length > MAX_SLOT_BYTES) return undefined;
  const handle = loadAddon().addon?.keyImport(bytes);
  return handle === undefined || handle < 0 ? undefined : handle;
}
