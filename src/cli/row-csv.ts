/** Rows of comma-separated values with a header (RFC 4180): a scanner over bytes that finds two columns. */

import { Buffer } from "node:buffer";
import { usageError } from "./exit-codes.js";
import type { Memory } from "./row-copy.js";
import { type Found, nothingFound, type RowFormat } from "./row-format.js";

const LF = 0x0a;
const CR = 0x0d;
const QUOTE = 0x22;
const COMMA = 0x2c;
const BOM = [0xef, 0xbb, 0xbf];

export class CsvRows implements RowFormat {
  readonly value: Found = nothingFound();
  readonly id: Found = nothingFound();
  lines = 1;
  isRow = true;
  readonly quote = "";
  readonly mostBytesPerByte = 2;
  problem: string | undefined;
  readonly #field: string;
  readonly #bind: string | undefined;
  /** Names of the columns, once the header was read. */
  #header: string[] | undefined;
  #fieldColumn = -1;
  #bindColumn = -1;
  #columns = 0;
  /** The last column read. */
  readonly #cell: Found = nothingFound();
  #at = 0;

  constructor({ field, bind }: { readonly field: string; readonly bind: string | undefined }) {
    this.#field = field;
    this.#bind = bind;
  }

  expect(): void {} // whatever the encoding, its bytes pass as they are

  read(bytes: Buffer, from: number, limit: number, final: boolean): number {
    this.value.kind = "none";
    this.id.kind = "none";
    this.problem = undefined;
    this.lines = 1;
    if (this.#header === undefined) return this.#readHeader(bytes, from, limit, final);
    const end = this.#row(bytes, from, limit, final, undefined);
    if (end < 0) return end;
    // A line with nothing on it is no row (of one column it would be an absent value).
    this.isRow = this.#columns > 1 || this.#cell.to > from || this.problem !== undefined;
    if (this.isRow && this.problem === undefined && this.#columns !== this.#header.length) {
      this.problem = `${this.#columns} columns, the header has ${this.#header.length}`;
    }
    return end;
  }

  write(memory: Memory, from: number, to: number, target: Memory, start: number): number {
    const { bytes: text } = memory;
    const { bytes: out } = target;
    let at = start;
    if (!needsQuotes(text, from, to)) {
      for (let i = from; i < to; i++) out[at++] = text[i] as number;
      return at;
    }
    out[at++] = QUOTE;
    for (let i = from; i < to; i++) {
      const byte = text[i] as number;
      if (byte === QUOTE) out[at++] = QUOTE;
      out[at++] = byte;
    }
    out[at++] = QUOTE;
    return at;
  }

  #readHeader(bytes: Buffer, from: number, limit: number, final: boolean): number {
    if (!final && limit - from < BOM.length) return -1;
    const start = BOM.every((byte, i) => from + i < limit && bytes[from + i] === byte) ? from + BOM.length : from;
    const names: string[] = [];
    const end = this.#row(bytes, start, limit, final, names);
    if (end < 0) return end;
    if (this.problem !== undefined) return end;
    this.#fieldColumn = columnOf(names, this.#field, "--field");
    this.#bindColumn = this.#bind === undefined ? -1 : columnOf(names, this.#bind, "--bind");
    this.#header = names;
    this.isRow = false;
    return end;
  }

  /** @param names where the texts of all columns go */
  #row(bytes: Buffer, from: number, limit: number, final: boolean, names: string[] | undefined): number {
    this.#at = from;
    this.#columns = 0;
    for (;;) {
      if (!this.#readCell(bytes, limit, final))
        return this.problem === undefined ? -1 : this.#skipLine(bytes, limit, final);
      const cell = this.#cell;
      if (names !== undefined) names.push(textOf(bytes, cell));
      else if (this.#columns === this.#fieldColumn) assign(this.value, cell);
      else if (this.#columns === this.#bindColumn) assign(this.id, cell);
      this.#columns++;
      const at = this.#at;
      if (at >= limit) return limit;
      this.#at++;
      if (bytes[at] === LF) return at + 1;
    }
  }

  /** Up to the comma or line feed behind a column, or the end. False where more bytes are needed, or it is malformed. */
  #readCell(bytes: Buffer, limit: number, final: boolean): boolean {
    const cell = this.#cell;
    const from = this.#at;
    let at = from;
    cell.from = from;
    cell.decoded = undefined;
    if (at < limit && bytes[at] === QUOTE) return this.#readQuoted(bytes, limit, final);
    for (; at < limit; at++) {
      const byte = bytes[at] as number;
      if (byte === COMMA || byte === LF) break;
      if (byte === QUOTE) {
        this.problem = "a quote within a value that does not begin with one";
        return false;
      }
    }
    if (at === limit && !final) return false;
    this.#at = at;
    const to = at > from && bytes[at - 1] === CR && (at === limit || bytes[at] === LF) ? at - 1 : at;
    cell.to = to;
    cell.textFrom = from;
    cell.textTo = to;
    cell.kind = to === from ? "none" : "text"; // an empty value without quotes is an absent one
    return true;
  }

  #readQuoted(bytes: Buffer, limit: number, final: boolean): boolean {
    const cell = this.#cell;
    const from = this.#at;
    let at = from + 1;
    let doubled = false;
    for (; ; at++) {
      if (at >= limit) {
        if (final) this.problem = "a quote that is not closed";
        return false;
      }
      const byte = bytes[at] as number;
      if (byte === LF) this.lines++;
      if (byte !== QUOTE) continue;
      if (at + 1 >= limit && !final) return false;
      if (at + 1 >= limit || bytes[at + 1] !== QUOTE) break;
      doubled = true;
      at++;
    }
    cell.kind = "text";
    cell.textFrom = from + 1;
    cell.textTo = at;
    cell.to = at + 1;
    if (doubled) cell.decoded = Buffer.from(bytes.toString("latin1", from + 1, at).replaceAll('""', '"'), "latin1");
    at++;
    if (at < limit && bytes[at] === CR) {
      if (at + 1 >= limit && !final) return false;
      if (at + 1 >= limit || bytes[at + 1] === LF) at++;
    }
    if (at === limit && !final) return false;
    if (at < limit && bytes[at] !== COMMA && bytes[at] !== LF) {
      this.problem = "something between a closing quote and the comma";
      return false;
    }
    this.#at = at;
    return true;
  }

  /** Behind the line a malformed row ends on, as well as can be told. */
  #skipLine(bytes: Buffer, limit: number, final: boolean): number {
    const newline = bytes.indexOf(LF, this.#at);
    if (newline >= 0 && newline < limit) return newline + 1;
    return final ? limit : -1;
  }
}

function assign(found: Found, cell: Found): void {
  found.kind = cell.kind;
  found.from = cell.from;
  found.to = cell.to;
  found.textFrom = cell.textFrom;
  found.textTo = cell.textTo;
  found.decoded = cell.decoded;
}

function textOf(bytes: Buffer, { decoded, textFrom, textTo }: Found): string {
  return decoded === undefined ? bytes.toString("utf8", textFrom, textTo) : Buffer.from(decoded).toString("utf8");
}

function columnOf(names: readonly string[], name: string, flag: string): number {
  const at = names.indexOf(name);
  if (at < 0) throw usageError(`${flag}: the header has no column "${name}"`);
  if (names.indexOf(name, at + 1) >= 0) throw usageError(`${flag}: the header has column "${name}" twice`);
  return at;
}

/** Empty values too: without quotes one would be absent. */
function needsQuotes(text: Uint8Array, from: number, to: number): boolean {
  if (from === to) return true;
  for (let i = from; i < to; i++) {
    const byte = text[i] as number;
    if (byte === COMMA || byte === QUOTE || byte === LF || byte === CR) return true;
  }
  const [first, last] = [text[from], text[to - 1]];
  return first === 0x20 || last === 0x20;
}
