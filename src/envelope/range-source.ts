/** What a range is read from. Types only. */

/** Random access to bytes: a file, an object store, an array. `slice` works as `Blob.slice` and `ArrayBuffer.slice` do. */
export interface RangeSource {
  readonly byteLength: number;
  slice(start: number, end?: number): Promise<ArrayBuffer>;
}
