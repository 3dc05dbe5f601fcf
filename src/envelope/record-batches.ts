/** Lists of values as arenas and back, in pieces that stay in the second-level cache. */

import { type Bytes, wipe } from "../bytes.js";
import { InputError } from "../errors.js";
import type { Arena } from "./record-arena.js";

const PIECE_RECORDS = 4096;
const PIECE_BYTES = 512 * 1024;
/** Work goes on for so long before others get a turn. */
const TURN_MS = 20;

/** Values `from` to `to` of a list, back to back. The copies are secrets: `wipePiece` when done. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  readonly values: Arena;
  readonly aad: Arena | undefined;
}

/** @throws InputError ERR_INPUT with `index` */
export function checkValue(value: unknown, index: number, what: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new InputError("ERR_INPUT", `${what} ${index} expected a Uint8Array`, { index });
}

/** @throws InputError ERR_INPUT */
export function checkList(values: unknown): readonly unknown[] {
  if (Array.isArray(values)) return values;
  throw new InputError("ERR_INPUT", "expected an array of Uint8Array");
}

/** The list in order, a piece at a time. @throws InputError ERR_INPUT with `index` */
export function* piecesOf(
  values: readonly unknown[],
  aadOf: ((index: number) => Uint8Array) | undefined,
): Generator<Piece> {
  for (let from = 0; from < values.length; ) {
    const part: Uint8Array[] = [];
    let bytes = 0;
    while (from + part.length < values.length && part.length < PIECE_RECORDS && bytes < PIECE_BYTES) {
      const index = from + part.length;
      const value = checkValue(values[index], index, "value");
      bytes += value.length;
      part.push(value);
    }
    // The caller's function runs before lengths are read for good: it may change what is borrowed.
    const aads = aadOf && part.map((_, i) => checkValue(aadOf(from + i), from + i, "the associated data of value"));
    const piece = { from, to: from + part.length, values: arenaOf(part), aad: aads && arenaOf(aads) };
    yield piece;
    from = piece.to;
  }
}

export function wipePiece({ values }: Piece): void {
  wipe(values.bytes);
}

function arenaOf(values: readonly Uint8Array[]): Arena {
  let length = 0;
  for (const value of values) length += value.length;
  if (length > 0xffff_ffff) throw new InputError("ERR_INPUT", `a value of ${length} bytes is too long for a record`);
  const bytes = new Uint8Array(length);
  const offsets = new Uint32Array(values.length + 1);
  let at = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as Uint8Array;
    bytes.set(value, at);
    at += value.length;
    offsets[i + 1] = at;
  }
  return { bytes, offsets };
}

/** A copy of value i: exact length, its own buffer. */
export function copyValue({ bytes, offsets }: Arena, index: number): Bytes {
  return bytes.slice(offsets[index], offsets[index + 1]) as Bytes;
}

/** Lets others have a turn of the event loop now and then, so that long batches can be aborted. */
export class Turns {
  #since = performance.now();

  async next(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (performance.now() - this.#since < TURN_MS) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    signal?.throwIfAborted();
    this.#since = performance.now();
  }
}
