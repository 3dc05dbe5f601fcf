/** Nonces for records: random, drawn from the operating system's generator many at a time, each handed out once. */

import { fillRandom } from "../engine/primitives.js";

/** About eight thousand nonces: one draw costs little more than a short one, and the pool stays in the cache. */
const POOL_BYTES = 96 * 1024;

/**
 * Lives in this thread's heap: a worker has its own, and a process that Node forks starts without one. A copy of the
 * whole process image could not seal: its keys are in memory that is wiped on fork (native engine).
 */
export class NoncePool {
  #pool = new Uint8Array(0);
  #at = 0;

  /** `bytes` never handed out before; valid until the next call. */
  take(bytes: number): Uint8Array {
    if (this.#at + bytes > this.#pool.length) {
      if (bytes > this.#pool.length) this.#pool = new Uint8Array(Math.max(POOL_BYTES, bytes));
      fillRandom(this.#pool);
      this.#at = 0;
    }
    this.#at += bytes;
    return this.#pool.subarray(this.#at - bytes, this.#at);
  }
}
