/** Rows of JSON objects, one a line (NDJSON): a scanner over bytes that finds top-level members (RFC 8259). */

import { Buffer, isUtf8 } from "node:buffer";
import type { Memory } from "./row-copy.js";
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
  #block: { readonly bytes: Buffer; readonly words: DataView } = blockOf(Buffer.alloc(0));
  #at = 0;
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
    if (bytes !== this.#block.bytes) this.#block = blockOf(bytes);
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
    this.value.kind = "none";
    this.value.from = NOT_SEEN;
    this.id.kind = "none";
    this.id.from = NOT_SEEN;
    if (this.#first && bytes.compare(BOM, 0, 3, from, Math.min(from + 3, end)) === 0) this.#at += 3;
    this.#first = false;
    this.problem = this.#askEach && !isUtf8(bytes.subarray(from, end)) ? "not UTF-8" : this.#row(end);
    return newline === end ? end + 1 : end;
  }

  write(text: Memory, from: number, to: number, out: Memory, at: number): number {
    return this.#jsonValues ? writeJson(text.bytes, from, to, out.bytes, at) : writeText(text, from, to, out, at);
  }

  /** Every loop below stops at a line feed, which is no white space here: no bounds need to be asked for. */
  #row(end: number): string | undefined {
    const { bytes, words } = this.#block;
    let at = spaceEnd(bytes, this.#at);
    this.isRow = bytes[at] !== LF;
    if (!this.isRow) return undefined;
    if (bytes[at] !== 0x7b) return "not a JSON object";
    at = spaceEnd(bytes, at + 1);
    if (bytes[at] === 0x7d) return spaceEnd(bytes, at + 1) === end ? undefined : MALFORMED;
    for (;;) {
      if (bytes[at] !== QUOTE) return MALFORMED;
      const nameEnd = stringEnd(bytes, words, at + 1);
      if (nameEnd === BAD) return MALFORMED;
      const found = nameEnd > 0 ? this.#match(at + 1, nameEnd - 1) : this.#matchEscaped(at, -nameEnd);
      at = spaceEnd(bytes, Math.abs(nameEnd));
      if (bytes[at] !== COLON) return MALFORMED;
      at = spaceEnd(bytes, at + 1);
      const valueEnd = bytes[at] === QUOTE ? stringEnd(bytes, words, at + 1) : bareEnd(bytes, words, at);
      if (valueEnd === BAD) return MALFORMED;
      const problem = found === undefined ? undefined : this.#note(found, at, valueEnd);
      if (problem !== undefined) return problem;
      at = spaceEnd(bytes, Math.abs(valueEnd));
      const byte = bytes[at++];
      if (byte === 0x7d) return spaceEnd(bytes, at) === end ? undefined : MALFORMED;
      if (byte !== COMMA) return MALFORMED;
      at = spaceEnd(bytes, at);
    }
  }

  /** Whether a name is the field's or the id's. */
  #match(from: number, to: number): Found | undefined {
    const { bytes } = this.#block;
    if (equals(bytes, from, to, this.#field)) return this.value;
    if (this.#bind !== undefined && equals(bytes, from, to, this.#bind)) return this.id;
    return undefined;
  }

  /** The same of a name with escapes; quotes included in the range. */
  #matchEscaped(from: number, to: number): Found | undefined {
    const name = decodeString(this.#block.bytes, from, to);
    if (name !== undefined && this.#field.equals(name)) return this.value;
    return name !== undefined && this.#bind?.equals(name) ? this.id : undefined;
  }

  /** @param end as `stringEnd` and `bareEnd` have it */
  #note(found: Found, from: number, end: number): string | undefined {
    if (found.from !== NOT_SEEN) return "a member is there twice";
    const first = this.#block.bytes[from] as number;
    const to = Math.abs(end);
    found.from = from;
    found.to = to;
    found.decoded = undefined;
    if (first === 0x6e) return undefined; // null stays
    const asWritten = found === this.value && this.#asWritten;
    found.kind = first === QUOTE || asWritten ? "text" : isNumber(first) ? "number" : "other";
    const inside = first === QUOTE && !asWritten ? 1 : 0;
    found.textFrom = from + inside;
    found.textTo = to - inside;
    if (inside === 0 || end > 0) return undefined;
    found.decoded = decodeString(this.#block.bytes, from, to);
    return found.decoded === undefined ? "a string that is not well-formed" : undefined;
  }
}

function blockOf(bytes: Buffer): { readonly bytes: Buffer; readonly words: DataView } {
  return { bytes, words: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}

const MALFORMED = "not well-formed JSON";
/** In the place of an end: there is none. Ends are never 0. */
const BAD = 0;

function spaceEnd(bytes: Buffer, from: number): number {
  let at = from;
  for (let byte = bytes[at] as number; byte <= 0x20; byte = bytes[++at] as number) {
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) break;
  }
  return at;
}

function equals(bytes: Buffer, from: number, to: number, name: Buffer): boolean {
  if (to - from !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (bytes[from + i] !== name[i]) return false;
  return true;
}

/** Behind the quote that ends a string, from behind the one that begins it; negative where it holds escapes; or BAD. */
function stringEnd(bytes: Buffer, words: DataView, from: number): number {
  let at = from;
  let escaped = false;
  for (;;) {
    while (isPlain(words.getInt32(at))) at += 4;
    let byte = bytes[at++] as number;
    while (byte !== QUOTE && byte !== BACKSLASH && byte >= 0x20) byte = bytes[at++] as number;
    if (byte === QUOTE) return escaped ? -at : at;
    if (byte !== BACKSLASH) return BAD;
    escaped = true;
    at = escapeEnd(bytes, at);
    if (at < 0) return BAD;
  }
}

/** Behind a value that is no string; or BAD. */
function bareEnd(bytes: Buffer, words: DataView, from: number): number {
  const first = bytes[from] as number;
  if (isNumber(first)) return numberEnd(bytes, from);
  if (first === 0x7b || first === 0x5b) return nestedEnd(bytes, words, from);
  for (const literal of LITERALS) {
    if (first === literal[0]) return equals(bytes, from, from + literal.length, literal) ? from + literal.length : BAD;
  }
  return BAD;
}

/** Behind an object or array: brackets in pairs, strings whole. What is in between passes as it is. */
function nestedEnd(bytes: Buffer, words: DataView, from: number): number {
  const open: number[] = [];
  for (let at = from; ; ) {
    const byte = bytes[at++] as number;
    if (byte === LF) return BAD;
    if (byte === QUOTE) {
      at = Math.abs(stringEnd(bytes, words, at));
      if (at === BAD) return BAD;
    } else if (byte === 0x7b || byte === 0x5b) open.push(byte + 2);
    else if (byte === 0x7d || byte === 0x5d) {
      if (open.pop() !== byte) return BAD;
      if (open.length === 0) return at;
    }
  }
}

function numberEnd(bytes: Buffer, from: number): number {
  let at = bytes[from] === 0x2d ? from + 1 : from;
  at = bytes[at] === 0x30 ? at + 1 : digitsEnd(bytes, at);
  if (at !== BAD && bytes[at] === 0x2e) at = digitsEnd(bytes, at + 1);
  if (at === BAD || ((bytes[at] as number) | 0x20) !== 0x65) return at;
  at++;
  return digitsEnd(bytes, bytes[at] === 0x2b || bytes[at] === 0x2d ? at + 1 : at);
}

/** Behind one digit or more; or BAD. */
function digitsEnd(bytes: Buffer, from: number): number {
  let at = from;
  for (let byte = bytes[at] as number; byte >= 0x30 && byte <= 0x39; byte = bytes[++at] as number);
  return at > from ? at : BAD;
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

function writeText(text: Memory, from: number, to: number, out: Memory, start: number): number {
  const { bytes, words } = text;
  let at = start;
  let all = 0;
  out.bytes[at++] = QUOTE;
  for (let i = from; i < to; ) {
    if (i + 4 <= to) {
      const word = words.getInt32(i);
      if (isPlain(word)) {
        out.words.setInt32(at, word);
        all |= word;
        at += 4;
        i += 4;
        continue;
      }
    }
    const byte = bytes[i++] as number;
    all |= byte;
    if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) out.bytes[at++] = byte;
    else at = writeEscape(byte, out.bytes, at);
  }
  if ((all & 0x80808080) !== 0 && !isUtf8(bytes.subarray(from, to))) return -1;
  out.bytes[at++] = QUOTE;
  return at;
}

function writeEscape(byte: number, out: Uint8Array, start: number): number {
  let at = start;
  out[at++] = BACKSLASH;
  const short = ESCAPES.get(byte);
  if (short !== undefined) {
    out[at++] = short;
    return at;
  }
  out[at] = 0x75;
  out[at + 1] = 0x30;
  out[at + 2] = 0x30;
  out[at + 3] = HEX[byte >>> 4] as number;
  out[at + 4] = HEX[byte & 15] as number;
  return at + 5;
}
