/** Rows of text as bytes: what a format finds in a row, so that one field is replaced and every other byte stays. */

import type { Memory } from "./row-copy.js";

/** A member of a row. */
export interface Found {
  kind: "none" | "text" | "number" | "other";
  /** The whole token, quotes included: what is replaced. */
  from: number;
  to: number;
  /** What a text or number says, as it stands; where it is written with escapes, `decoded` has it instead. */
  textFrom: number;
  textTo: number;
  decoded: Uint8Array | undefined;
}

export function nothingFound(): Found {
  return { kind: "none", from: 0, to: 0, textFrom: 0, textTo: 0, decoded: undefined };
}

/** One reader for a run: it is told of rows in order, and its findings are overwritten by the next. */
export interface RowFormat {
  /** The field to replace. "none": absent, or null. */
  readonly value: Found;
  /** The row's id, where one is asked for. */
  readonly id: Found;
  /** False for a header and for a line with nothing on it: they stay. */
  readonly isRow: boolean;
  /** What is wrong with the row; undefined: nothing. */
  readonly problem: string | undefined;
  /** Line breaks in the row, the one at its end included. */
  readonly lines: number;
  /**
   * Told of the bytes that the next reads are about: what is asked of all of them costs less than of each row.
   * @param bytes with some bytes to spare behind `limit`, which may be read
   */
  expect(bytes: Buffer, from: number, limit: number): void;
  /**
   * Reads the row at `from`.
   * @param limit how far `bytes` is filled; a byte may be read behind it
   * @param final nothing comes behind `limit`
   * @returns where the next row begins; -1 where more bytes are needed first
   */
  read(bytes: Buffer, from: number, limit: number, final: boolean): number;
  /** Stands before and behind text that needs no escapes. */
  readonly quote: string;
  /** The most bytes that one byte of a value can become. */
  readonly mostBytesPerByte: number;
  /**
   * Writes an opened value as the format has it.
   * @returns where it ends in `out`; -1 where the format cannot carry it
   */
  write(text: Memory, from: number, to: number, out: Memory, at: number): number;
}
