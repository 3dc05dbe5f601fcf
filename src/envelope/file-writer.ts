/** Writes to a file while what comes next is made: writes in flight, arrays reused, the disk busy from early on. Node only. */

import type { FileHandle } from "node:fs/promises";
import { ioError } from "../atomic-file.js";
import { type Bytes, type TakeArray, unfilled, wipe } from "../bytes.js";

/** Two, so that the file system has the next one when it is done with one. */
const WRITES_IN_FLIGHT = 2;
/** So often what was written is sent to the disk: the sync at the end then finds little to wait for. */
const FLUSH_BYTES = 64 * 1024 * 1024;

/** Arrays that are written once and then used again. */
export class FileWriter {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #free: Bytes[] = [];
  readonly #lent = new Map<ArrayBufferLike, Bytes>();
  readonly #inFlight = new Set<Promise<void>>();
  #flush: Promise<void> | undefined;
  #unflushedBytes = 0;
  #writtenBytes = 0;
  #failure: { readonly error: unknown } | undefined;

  /** @param handle a regular file, written from its start; closing it is the caller's */
  constructor(handle: FileHandle, path: string) {
    this.#handle = handle;
    this.#path = path;
  }

  /** Bytes written, and being written. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** An array to fill and hand to `write`, after which it is this writer's again. */
  readonly take: TakeArray = (length) => {
    const at = this.#free.findIndex((array) => array.length >= length);
    const array = at < 0 ? unfilled(length) : (this.#free.splice(at, 1)[0] as Bytes);
    this.#lent.set(array.buffer, array);
    return array.subarray(0, length);
  };

  /** Begins to write `chunk`; settles once there is room for the next. @throws StoreError ERR_IO of any write before */
  async write(chunk: Bytes): Promise<void> {
    while (this.#inFlight.size >= WRITES_IN_FLIGHT) await Promise.race(this.#inFlight);
    this.#check();
    const at = this.#writtenBytes;
    this.#writtenBytes += chunk.length;
    const writing = this.#writeAll(chunk, at).finally(() => {
      this.#inFlight.delete(writing);
      this.#giveBack(chunk);
    });
    this.#inFlight.add(writing);
    this.#unflushedBytes += chunk.length;
    if (this.#unflushedBytes < FLUSH_BYTES || this.#flush !== undefined) return;
    this.#unflushedBytes = 0;
    this.#flush = this.#sendToDisk();
  }

  /** All is written, though not all on the disk. @throws StoreError ERR_IO */
  async finish(): Promise<void> {
    await this.settle();
    this.#check();
  }

  /** Nothing of this writer's is under way any more, and its arrays are zeroed. Never rejects. */
  async settle(): Promise<void> {
    await Promise.all(this.#inFlight);
    await this.#flush;
    wipe(...this.#free, ...this.#lent.values());
    this.#free.length = 0;
    this.#lent.clear();
  }

  async #writeAll(chunk: Bytes, position: number): Promise<void> {
    try {
      for (let at = 0; at < chunk.length; ) {
        at += (await this.#handle.write(chunk, at, chunk.length - at, position + at)).bytesWritten;
      }
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  /** A failure counts: the system tells of it once, and not again in the sync at the end. */
  async #sendToDisk(): Promise<void> {
    try {
      await this.#handle.datasync();
    } catch (error) {
      this.#failure ??= { error };
    }
    this.#flush = undefined;
  }

  #giveBack(chunk: Bytes): void {
    const array = this.#lent.get(chunk.buffer);
    if (array === undefined) return; // not one of ours
    this.#lent.delete(chunk.buffer);
    this.#free.push(array);
  }

  #check(): void {
    if (this.#failure !== undefined) throw ioError(this.#failure.error, `write ${this.#path}`);
  }
}
