/** Rows of JSON objects, one a line (NDJSON): a scanner over bytes that finds top-level members (RFC 8259). */

import { Buffer, isUtf8 } from "node:buffer";
import { type Found, nothingFound, type RowFormat } from "./row-format.js";

const LF = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const HEX = Buffer.from("0123456789abcdef");
const LITERALS = [Buffer.from("null"), Buffer.from("true"), Buffer.from("false")] as const;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

const NOT_SEEN = -1;

/** Short escapes by the byte they stand for. */
const ESCAPES = new Map([
  [0x22, 0x22],
  [0x5c, 0x5c],
  [0x08, 0x62],
  [0x0c, 0x66],
  [0x0a, 0x6e],
  [0x0d, 0x72],
  [0x09, 0x74],
]);

const SHORT_ESCAPES = new Set(ESCAPES.values());

interface JsonRowsOptions {
  readonly field: string;
  readonly bind: string | undefined;
  /** Which way the values go. */
  readonly direction: "seal" | "open";
  /** What is sealed is any JSON value, as it is written. */
  readonly jsonValues: boolean;
}

export class JsonRows implements RowFormat {
  readonly value: Found = nothingFound();
  readonly id: Found = nothingFound();
  readonly lines = 1;
  readonly quote = '"';
  readonly mostBytesPerByte = 6;
  isRow = true;
  problem: string | undefined;
  readonly #field: Buffer;
  readonly #bind: Buffer | undefined;
  readonly #jsonValues: boolean;
  /** The value is taken with its quotes and escapes. */
  readonly #asWritten: boolean;
  #bytes: Buffer = Buffer.alloc(0);
  #words: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  /** The last string had an escape in it. */
  #escaped = false;
  #first = true;
  /** Whether a row is UTF-8 is not known of all of them together. */
  #askEach = true;

  constructor({ field, bind, direction, jsonValues }: JsonRowsOptions) {
    this.#field = Buffer.from(field);
    this.#bind = bind === undefined ? undefined : Buffer.from(bind);
    this.#jsonValues = jsonValues;
    this.#asWritten = jsonValues && direction === "seal";
  }

  expect(bytes: Buffer, from: number, limit: number): void {
    const whole = bytes.lastIndexOf(LF, limit - 1) + 1;
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    }
    this.#askEach = whole <= from || !isUtf8(bytes.subarray(from, whole));
  }

  read(bytes: Buffer, from: number, limit: number, final: boolean): number {
    const newline = bytes.indexOf(LF, from);
    let end = newline;
    if (newline < 0 || newline >= limit) {
      if (!final) return -1;
      end = limit;
      bytes[limit] = LF; // a row ends with one, for the scanner at least
    }
    this.#at = from;
    for (const found of [this.value, this.id]) {
      found.kind = "none";
      found.from = NOT_SEEN;
    }
    if (this.#first && bytes.compare(BOM, 0, 3, from, Math.min(from + 3, end)) === 0) this.#at += 3;
    this.#first = false;
    this.problem = this.#askEach && !isUtf8(bytes.subarray(from, end)) ? "not UTF-8" : this.#row(end);
    return newline === end ? end + 1 : end;
  }

  write(text: Uint8Array, from: number, to: number, out: Uint8Array, at: number): number {
    return this.#jsonValues ? writeJson(text, from, to, out, at) : writeText(text, from, to, out, at);
  }

  /** Every loop below stops at a line feed, which is no white space here: no bounds need to be asked for. */
  #row(end: number): string | undefined {
    const bytes = this.#bytes;
    this.isRow = this.#skipSpace() !== LF;
    if (!this.isRow) return undefined;
    if (bytes[this.#at++] !== 0x7b) return "not a JSON object";
    if (this.#skipSpace() === 0x7d) this.#at++;
    else {
      for (;;) {
        const problem = this.#member();
        if (problem !== undefined) return problem;
        const byte = this.#skipSpace();
        this.#at++;
        if (byte === 0x7d) break;
        if (byte !== COMMA) return "not well-formed JSON";
        this.#skipSpace();
      }
    }
    this.#skipSpace();
    return this.#at === end ? undefined : "not well-formed JSON";
  }

  #skipSpace(): number {
    const bytes = this.#bytes;
    let at = this.#at;
    let byte = bytes[at] as number;
    while (byte === 0x20 || byte === 0x09 || byte === 0x0d) byte = bytes[++at] as number;
    this.#at = at;
    return byte;
  }

  /** A name, a colon and a value. */
  #member(): string | undefined {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== QUOTE) return "not well-formed JSON";
    const nameFrom = this.#at + 1;
    if (!this.#string()) return "not well-formed JSON";
    const found = this.#match(nameFrom, this.#at - 1);
    if (this.#skipSpace() !== COLON) return "not well-formed JSON";
    this.#at++;
    const first = this.#skipSpace();
    const from = this.#at;
    if (!this.#skipValue(first)) return "not well-formed JSON";
    return found === undefined ? undefined : this.#note(found, first, from);
  }

  /** Whether a name is the field's or the id's. */
  #match(from: number, to: number): Found | undefined {
    const field = this.#field;
    const bind = this.#bind;
    if (this.#escaped) {
      const name = decodeString(this.#bytes, from - 1, to + 1);
      if (name !== undefined && field.equals(name)) return this.value;
      return name !== undefined && bind?.equals(name) ? this.id : undefined;
    }
    const length = to - from;
    if (length === field.length && this.#equals(field, from)) return this.value;
    if (bind !== undefined && length === bind.length && this.#equals(bind, from)) return this.id;
    return undefined;
  }

  #equals(name: Buffer, from: number): boolean {
    const bytes = this.#bytes;
    for (let i = 0; i < name.length; i++) if (bytes[from + i] !== name[i]) return false;
    return true;
  }

  #note(found: Found, first: number, from: number): string | undefined {
    if (found.from !== NOT_SEEN) return "a member is there twice";
    const to = this.#at;
    found.from = from;
    found.to = to;
    found.decoded = undefined;
    if (first === 0x6e) return undefined; // null stays
    const asWritten = found === this.value && this.#asWritten;
    found.kind = first === QUOTE || asWritten ? "text" : isNumber(first) ? "number" : "other";
    const inside = first === QUOTE && !asWritten ? 1 : 0;
    found.textFrom = from + inside;
    found.textTo = to - inside;
    if (inside === 0 || !this.#escaped) return undefined;
    found.decoded = decodeString(this.#bytes, from, to);
    return found.decoded === undefined ? "a string that is not well-formed" : undefined;
  }

  /** Past a string, from its opening quote. */
  #string(): boolean {
    const bytes = this.#bytes;
    const words = this.#words;
    let at = this.#at + 1;
    this.#escaped = false;
    for (;;) {
      while (isPlain(words.getInt32(at))) at += 4;
      let byte = bytes[at++] as number;
      while (byte !== QUOTE && byte !== BACKSLASH && byte >= 0x20) byte = bytes[at++] as number;
      if (byte === QUOTE) break;
      if (byte !== BACKSLASH) return false;
      this.#escaped = true;
      at = escapeEnd(bytes, at);
      if (at < 0) return false;
    }
    this.#at = at;
    return true;
  }

  #skipValue(first: number): boolean {
    if (first === QUOTE) return this.#string();
    if (first === 0x7b || first === 0x5b) return this.#nested();
    if (isNumber(first)) return this.#number();
    for (const literal of LITERALS) {
      if (first !== literal[0]) continue;
      if (!this.#equals(literal, this.#at)) return false;
      this.#at += literal.length;
      return true;
    }
    return false;
  }

  /** Past an object or array: brackets in pairs, strings whole. What is in between passes as it is. */
  #nested(): boolean {
    const bytes = this.#bytes;
    const open: number[] = [];
    for (;;) {
      const byte = bytes[this.#at] as number;
      if (byte === QUOTE) {
        if (!this.#string()) return false;
        continue;
      }
      this.#at++;
      if (byte === LF) return false;
      if (byte === 0x7b || byte === 0x5b) open.push(byte + 2);
      else if (byte === 0x7d || byte === 0x5d) {
        if (open.pop() !== byte) return false;
        if (open.length === 0) return true;
      }
    }
  }

  #number(): boolean {
    const bytes = this.#bytes;
    if (bytes[this.#at] === 0x2d) this.#at++;
    if (bytes[this.#at] === 0x30) this.#at++;
    else if (!this.#digits()) return false;
    if (bytes[this.#at] === 0x2e) {
      this.#at++;
      if (!this.#digits()) return false;
    }
    if (((bytes[this.#at] as number) | 0x20) !== 0x65) return true;
    this.#at++;
    if (bytes[this.#at] === 0x2b || bytes[this.#at] === 0x2d) this.#at++;
    return this.#digits();
  }

  /** One or more. */
  #digits(): boolean {
    const bytes = this.#bytes;
    const from = this.#at;
    let at = from;
    for (let byte = bytes[at] as number; byte >= 0x30 && byte <= 0x39; byte = bytes[++at] as number);
    this.#at = at;
    return at > from;
  }
}

/**
 * Whether none of four bytes is a quote, a backslash or below a space: each term has a high bit set where a byte of the
 * word, less what is looked for, borrows.
 */
function isPlain(word: number): boolean {
  const quote = word ^ 0x22222222;
  const backslash = word ^ 0x5c5c5c5c;
  const found =
    ((quote - 0x01010101) & ~quote) | ((backslash - 0x01010101) & ~backslash) | ((word - 0x20202020) & ~word);
  return (found & 0x80808080) === 0;
}

/** Behind an escape, from the byte after its backslash; -1 where there is no such escape. */
function escapeEnd(bytes: Buffer, at: number): number {
  const byte = bytes[at] as number;
  if (byte !== 0x75) return byte === 0x2f || SHORT_ESCAPES.has(byte) ? at + 1 : -1;
  for (let i = 1; i <= 4; i++) {
    const digit = bytes[at + i] as number;
    const lower = digit | 0x20;
    if (!((digit >= 0x30 && digit <= 0x39) || (lower >= 0x61 && lower <= 0x66))) return -1;
  }
  return at + 5;
}

function isNumber(first: number): boolean {
  return first === 0x2d || (first >= 0x30 && first <= 0x39);
}

/** The UTF-8 of a string with escapes, quotes included in the range; undefined where it has none. */
function decodeString(bytes: Buffer, from: number, to: number): Uint8Array | undefined {
  let text: string;
  try {
    text = JSON.parse(bytes.toString("utf8", from, to)) as string;
  } catch {
    return undefined; // an escape there is none of
  }
  return text.isWellFormed() ? Buffer.from(text) : undefined;
}

/** A value that is JSON already: one value, on one line. */
function writeJson(text: Uint8Array, from: number, to: number, out: Uint8Array, at: number): number {
  const value = text.subarray(from, to);
  if (value.includes(LF) || !isUtf8(value)) return -1;
  try {
    JSON.parse(Buffer.from(value).toString());
  } catch {
    return -1; // sealed by somebody else, as something else
  }
  out.set(value, at);
  return at + value.length;
}

function writeText(text: Uint8Array, from: number, to: number, out: Uint8Array, start: number): number {
  let at = start;
  let all = 0;
  out[at++] = QUOTE;
  for (let i = from; i < to; i++) {
    const byte = text[i] as number;
    all |= byte;
    if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) {
      out[at++] = byte;
      continue;
    }
    out[at++] = BACKSLASH;
    const short = ESCAPES.get(byte);
    if (short !== undefined) out[at++] = short;
    else {
      out[at] = 0x75;
      out[at + 1] = 0x30;
      out[at + 2] = 0x30;
      out[at + 3] = HEX[byte >>> 4] as number;
      out[at + 4] = HEX[byte & 15] as number;
      at += 5;
    }
  }
  if (all > 0x7f && !isUtf8(text.subarray(from, to))) return -1;
  out[at++] = QUOTE;
  return at;
}
