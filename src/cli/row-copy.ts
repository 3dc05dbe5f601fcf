/** Short copies, four bytes at a time: a call to copy twenty bytes costs more than the bytes. */

/** Bytes a copy may read and write behind its end: whoever makes room makes so much more. */
export const COPY_SPARE_BYTES = 3;
/** From here on the platform's own copy is faster. */
const LONG = 256;

/** The same memory as bytes and, for words at any offset, as a view. */
export class Memory {
  readonly bytes: Uint8Array;
  readonly words: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
}

/** @returns where it ends in `dst`; what stands behind it there, up to COPY_SPARE_BYTES, is overwritten */
export function copyShort(src: Memory, from: number, to: number, dst: Memory, start: number): number {
  const end = start + to - from;
  if (to - from > LONG) {
    dst.bytes.set(src.bytes.subarray(from, to), start);
    return end;
  }
  const source = src.words;
  const target = dst.words;
  for (let i = from, at = start; i < to; i += 4, at += 4) target.setInt32(at, source.getInt32(i));
  return end;
}
