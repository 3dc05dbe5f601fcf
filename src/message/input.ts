/** The bytes of a message as they arrive: whole at once without a copy, or chunk by chunk in one growing buffer. */

import { type Bytes, EMPTY, unshared } from "../bytes.js";

const MIN_CAPACITY_BYTES = 1024;
const MAX_SLACK_BYTES = 16 * 1024 * 1024;

/**
 * Unread input. Views are valid until the next `push` or `settle`. Memory follows the bytes that arrived, never a
 * length field.
 */
export class MessageInput {
  #buffer: Uint8Array = EMPTY;
  #start = 0;
  #end = 0;
  /** Whether `#buffer` is ours to write to, or the caller's. */
  #own = false;
  /** Offset of the next unread byte in the message. */
  offset = 0;
  /** No more bytes will come. */
  ended = false;

  get available(): number {
    return this.#end - this.#start;
  }

  /** Adds bytes: borrowed where nothing was unread, until `settle`; else copied, as shared memory always is. */
  push(chunk: Uint8Array): void {
    if (this.available === 0) {
      this.#buffer = unshared(chunk);
      this.#start = 0;
      this.#end = this.#buffer.length;
      this.#own = this.#buffer !== chunk;
      return;
    }
    if (!this.#own || this.#end + chunk.length > this.#buffer.length) this.#makeRoom(this.available + chunk.length);
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** Copies what is unread out of a borrowed chunk, so that the caller has it back. */
  settle(): void {
    if (this.#own) return;
    if (this.available > 0) this.#makeRoom(this.available);
    else this.#buffer = EMPTY;
  }

  /** A view of unread bytes [from, to), not reading them. The caller has checked `available`. */
  view(from: number, to: number): Uint8Array {
    return this.#buffer.subarray(this.#start + from, this.#start + to);
  }

  u8(at: number): number {
    return this.#buffer[this.#start + at] as number;
  }

  u16(at: number): number {
    return (this.u8(at) << 8) | this.u8(at + 1);
  }

  u32(at: number): number {
    return (this.u16(at) * 0x10000 + this.u16(at + 2)) >>> 0;
  }

  /** Reads the next `bytes` as a view. */
  take(bytes: number): Uint8Array {
    const view = this.view(0, bytes);
    this.#start += bytes;
    this.offset += bytes;
    return view;
  }

  /** Reads the next `bytes` as a copy. */
  takeCopy(bytes: number): Bytes {
    return new Uint8Array(this.take(bytes));
  }

  #makeRoom(needed: number): void {
    const unread = this.#buffer.subarray(this.#start, this.#end);
    if (this.#own && needed <= this.#buffer.length) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
    } else {
      const doubled = Math.min(2 * needed, needed + MAX_SLACK_BYTES);
      const grown = new Uint8Array(Math.max(doubled, MIN_CAPACITY_BYTES));
      grown.set(unread);
      this.#buffer = grown;
      this.#own = true;
    }
    this.#end = unread.length;
    this.#start = 0;
  }
}
