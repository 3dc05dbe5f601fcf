/** The native engine with a pool behind its large batches. Every batch is sealed and opened to the same bytes without. */

import { setImmediate } from "node:timers/promises";
import { wipe } from "../bytes.js";
import type { DataKey } from "../engine/data-key.js";
import type { NativeMessageKey } from "../engine/native.js";
import type {
  Awaitable,
  Engine,
  EngineName,
  FrameBatch,
  MessageKey,
  RecordAlgorithm,
  RecordKey,
} from "../engine/port.js";
import { framesPlaintextBytes, framesWireBytes } from "../message/frames.js";
import type { Suite } from "../message/suites.js";
import type { Pool } from "./pool.js";

/** Plaintext sealed or opened before other work of this thread gets its turn, and an abort is seen. */
const SLICE_BYTES = 32 * 1024 * 1024;

export class PooledEngine implements Engine {
  readonly name: EngineName = "native";
  readonly kernel?: string;
  readonly #engine: Engine;
  readonly #pool: Pool;

  /** @param engine the native one: its message keys are `NativeMessageKey`s, made at once */
  constructor(engine: Engine, pool: Pool) {
    this.#engine = engine;
    this.#pool = pool;
    if (engine.kernel !== undefined) this.kernel = engine.kernel;
  }

  messageKey(dataKey: DataKey, suite: Suite, messageId: Uint8Array): MessageKey {
    return new PooledMessageKey(this.#engine.messageKey(dataKey, suite, messageId) as NativeMessageKey, this.#pool);
  }

  recordKey(dataKey: DataKey, algorithm: RecordAlgorithm): RecordKey {
    return this.#engine.recordKey(dataKey, algorithm);
  }
}

class PooledMessageKey implements MessageKey {
  readonly commitment: Uint8Array | undefined;
  readonly #key: NativeMessageKey;
  readonly #pool: Pool;

  constructor(key: NativeMessageKey, pool: Pool) {
    this.commitment = key.commitment;
    this.#key = key;
    this.#pool = pool;
  }

  sealHeader(nonce: Uint8Array, aad: Uint8Array): Uint8Array {
    return this.#key.sealHeader(nonce, aad);
  }

  openHeader(nonce: Uint8Array, aad: Uint8Array, tag: Uint8Array): boolean {
    return this.#key.openHeader(nonce, aad, tag);
  }

  openBody(body: Parameters<MessageKey["openBody"]>[0]): boolean {
    return this.#key.openBody(body);
  }

  sealFrames(batch: FrameBatch): Awaitable<void> {
    const bytes = framesPlaintextBytes(batch);
    if (bytes < this.#pool.inlineBelowBytes) return this.#key.sealFrames(batch);
    if (bytes <= SLICE_BYTES) return this.#seal(batch, bytes);
    return this.#inSlices(batch, true).then(() => undefined);
  }

  openFrames(batch: FrameBatch): Awaitable<boolean> {
    const bytes = framesPlaintextBytes(batch);
    if (bytes < this.#pool.inlineBelowBytes) return this.#key.openFrames(batch);
    if (bytes <= SLICE_BYTES) return this.#open(batch, bytes);
    return this.#inSlices(batch, false);
  }

  wipe(): void {
    this.#key.wipe();
  }

  #seal(batch: FrameBatch, bytes: number): void {
    this.#pool.run(bytes, (pieceBytes) => this.#key.sealFrames(batch, pieceBytes));
  }

  #open(batch: FrameBatch, bytes: number): boolean {
    return this.#pool.run(bytes, (pieceBytes) => this.#key.openFrames(batch, pieceBytes));
  }

  /** One slice after the other. Where one fails, or the caller gives up, all of `dst` is zeroed. */
  async #inSlices(batch: FrameBatch, sealing: boolean): Promise<boolean> {
    let done = false;
    try {
      for (const slice of slicesOf(batch, sealing)) {
        if (slice.firstSequence !== batch.firstSequence) await setImmediate();
        batch.signal?.throwIfAborted();
        const bytes = framesPlaintextBytes(slice);
        if (sealing) this.#seal(slice, bytes);
        else if (!this.#open(slice, bytes)) return false;
      }
      done = true;
      return true;
    } finally {
      if (!done) wipe(batch.dst);
    }
  }
}

/** A batch in slices of whole frames, each at least one. Their arrays are views of the batch's. */
function* slicesOf(batch: FrameBatch, sealing: boolean): Generator<FrameBatch, void, void> {
  const { frameBytes, finalBytes, regularFrames, src, dst } = batch;
  const most = Math.max(1, Math.floor(SLICE_BYTES / frameBytes));
  let [srcAt, dstAt] = [0, 0];
  for (let first = 0; ; ) {
    const frames = Math.min(most, regularFrames - first);
    const last = first + frames === regularFrames;
    const counts = { frameBytes, regularFrames: frames, finalBytes: last ? finalBytes : undefined };
    const [plainBytes, wireBytes] = [framesPlaintextBytes(counts), framesWireBytes(counts)];
    const srcEnd = srcAt + (sealing ? plainBytes : wireBytes);
    yield {
      ...batch,
      ...counts,
      firstSequence: batch.firstSequence + first,
      src: src.subarray(srcAt, srcEnd),
      dst: dst.subarray(dstAt),
    };
    if (last) return;
    srcAt = srcEnd;
    dstAt += sealing ? wireBytes : plainBytes;
    first += frames;
  }
}
