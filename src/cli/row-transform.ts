/** Rows through a seal or an opening of one field, thousands in a call, every other byte as it was. */

import { Buffer } from "node:buffer";
import { type Arena, errors, type KeyladderError } from "../index.js";
import { base64Bytes, readBase64, writeBase64 } from "./row-base64.js";
import { COPY_SPARE_BYTES, copyShort, Memory } from "./row-copy.js";
import type { Found, RowFormat } from "./row-format.js";
import type { ByteStage } from "./streams.js";

/** What marks a sealed field. */
export const MARK = "klr1:";
const MARK_BYTES = Buffer.from(MARK);
const MARK_MEMORY = padded(MARK_BYTES);
const ROWS_PER_CALL = 8192;
/** One row; what is longer is no row. */
const MAX_ROW_BYTES = 256 * 1024 * 1024;
/** Formats may read, and write, a byte behind the end. */
const SPARE_BYTES = 16;

/** What becomes of the values of a call; those that failed are left empty, with the reason by index. */
export interface Outcome {
  /** Borrowed until the next call. */
  readonly values: Arena;
  readonly failed: ReadonlyMap<number, KeyladderError>;
}

export interface RowWork {
  readonly direction: "seal" | "open";
  readonly format: RowFormat;
  /** Stands before a row's id in the associated data; undefined: none is given. */
  readonly bindTo: Uint8Array | undefined;
  /** Sealed fields begin with `MARK`. */
  readonly marked: boolean;
  process(values: Arena, aad: Arena | undefined): Promise<Outcome>;
  /** Told of a row that is left out; throws where that is the end. */
  onBadRow(error: KeyladderError): void;
}

export interface RowCounts {
  rows: number;
  /** Sealed, or opened. */
  changed: number;
  failed: number;
}

/** A stage over bytes, and what it counted so far. */
export function rowStage(work: RowWork): { readonly stage: ByteStage; readonly counts: RowCounts } {
  const pump = new RowPump(work);
  async function* stage(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) yield* pump.push(chunk);
    yield* pump.end();
  }
  return { stage, counts: pump.counts };
}

/** Values back to back, with room to grow. */
class ArenaBuilder {
  memory = new Memory(new Uint8Array(64 * 1024));
  readonly offsets = new Uint32Array(ROWS_PER_CALL + 1);
  count = 0;
  /** Where the last value ends. */
  end = 0;

  clear(): void {
    this.count = 0;
    this.end = 0;
  }

  /** Room for `bytes` more behind the last value. */
  reserve(bytes: number): Memory {
    const needed = this.end + bytes + COPY_SPARE_BYTES;
    const { bytes: held } = this.memory;
    if (needed <= held.length) return this.memory;
    const grown = new Uint8Array(Math.max(needed, 2 * held.length));
    grown.set(held.subarray(0, this.end));
    this.memory = new Memory(grown);
    return this.memory;
  }

  closeAt(end: number): void {
    this.offsets[++this.count] = end;
    this.end = end;
  }

  arena(): Arena {
    return { bytes: this.memory.bytes.subarray(0, this.end), offsets: this.offsets.subarray(0, this.count + 1) };
  }
}

/** A row that is changed, or left out. */
interface Change {
  line: number;
  rowFrom: number;
  rowTo: number;
  /** The token to replace. */
  from: number;
  to: number;
  /** Left out, and why. */
  bad: KeyladderError | undefined;
}

class RowPump {
  readonly counts: RowCounts = { rows: 0, changed: 0, failed: 0 };
  readonly #work: RowWork;
  readonly #values = new ArenaBuilder();
  readonly #aads = new ArenaBuilder();
  readonly #changes: Change[] = [];
  #changed = 0;
  #line = 1;
  #buffer = Buffer.allocUnsafeSlow(512 * 1024);
  #memory = new Memory(this.#buffer);
  readonly #bindTo: Memory | undefined;
  #last = new Memory(new Uint8Array(0));
  #next = new Memory(new Uint8Array(0));
  #from = 0;
  #filled = 0;

  constructor(work: RowWork) {
    this.#work = work;
    this.#bindTo = work.bindTo && padded(work.bindTo);
  }

  push(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
    this.#append(chunk);
    return this.#batches(false);
  }

  end(): AsyncGenerator<Uint8Array> {
    return this.#batches(true);
  }

  /** As many whole rows as one call takes, again and again. */
  async *#batches(final: boolean): AsyncGenerator<Uint8Array> {
    for (;;) {
      const from = this.#from;
      const to = this.#collect(final);
      if (to === from) return;
      this.#from = to;
      const { bytes, failure } = this.#emit(from, to, await this.#outcome());
      if (bytes.length > 0) yield bytes;
      if (failure !== undefined) throw failure;
    }
  }

  #append(chunk: Uint8Array): void {
    const held = this.#filled - this.#from;
    if (this.#filled + chunk.length + SPARE_BYTES > this.#buffer.length) {
      const needed = held + chunk.length + SPARE_BYTES;
      if (held > MAX_ROW_BYTES) throw rowError(this.#line, `a row of more than ${MAX_ROW_BYTES} bytes`);
      const target = needed > this.#buffer.length ? Buffer.allocUnsafeSlow(2 * needed) : this.#buffer;
      this.#buffer.copy(target, 0, this.#from, this.#filled);
      if (target !== this.#buffer) this.#memory = new Memory(target);
      this.#buffer = target;
      this.#from = 0;
      this.#filled = held;
    }
    this.#buffer.set(chunk, this.#filled);
    this.#filled += chunk.length;
  }

  async #outcome(): Promise<Outcome> {
    if (this.#values.count === 0) return { values: this.#values.arena(), failed: new Map() };
    return this.#work.process(this.#values.arena(), this.#work.bindTo && this.#aads.arena());
  }

  /** Reads rows, and gathers their values. @returns where the last whole one ends */
  #collect(final: boolean): number {
    const { format } = this.#work;
    this.#values.clear();
    this.#aads.clear();
    this.#changed = 0;
    let at = this.#from;
    format.expect(this.#buffer, at, this.#filled);
    while (this.#values.count < ROWS_PER_CALL && this.#changed < 2 * ROWS_PER_CALL && at < this.#filled) {
      const next = format.read(this.#buffer, at, this.#filled, final);
      if (next < 0) break;
      if (format.isRow) this.counts.rows++;
      const bad = this.#gather();
      if (bad !== undefined || format.value.kind !== "none") this.#note(at, next, bad);
      this.#line += format.lines;
      at = next;
    }
    return at;
  }

  /** One record of changes is used again and again: a million rows make no million objects. */
  #note(rowFrom: number, rowTo: number, bad: KeyladderError | undefined): void {
    const { from, to } = this.#work.format.value;
    const change = this.#changes[this.#changed++];
    if (change === undefined) this.#changes.push({ line: this.#line, rowFrom, rowTo, from, to, bad });
    else {
      change.line = this.#line;
      change.rowFrom = rowFrom;
      change.rowTo = rowTo;
      change.from = from;
      change.to = to;
      change.bad = bad;
    }
  }

  /** The value, and the id, of the row just read; or what is wrong with it. */
  #gather(): KeyladderError | undefined {
    const { format, direction } = this.#work;
    const bindTo = this.#bindTo;
    const { value, id, problem } = format;
    if (problem !== undefined) return rowError(this.#line, problem);
    if (value.kind === "none") return undefined;
    if (value.kind !== "text") return notText(this.#line, direction);
    if (bindTo !== undefined && id.kind !== "text" && id.kind !== "number") {
      return rowError(this.#line, "no id to bind the field to (a string or a number)");
    }
    const bad = direction === "seal" ? this.#gatherPlain(value) : this.#gatherSealed(value);
    if (bad === undefined && bindTo !== undefined) {
      const length = (this.#work.bindTo as Uint8Array).length;
      copyShort(bindTo, 0, length, this.#aads.reserve(length), this.#aads.end);
      this.#appendText(this.#aads, id, length);
    }
    return bad;
  }

  #gatherPlain(value: Found): KeyladderError | undefined {
    if (this.#work.marked && this.#isMarked(value)) return sealedAlready(this.#line);
    this.#appendText(this.#values, value, 0);
    return undefined;
  }

  #gatherSealed({ textFrom, textTo, decoded }: Found): KeyladderError | undefined {
    if (decoded === undefined) return this.#gatherBase64(this.#memory, textFrom, textTo);
    // Escapes in a sealed field: JSON allows them ("\/"), so what they say is looked at.
    return this.#gatherBase64(new Memory(decoded), 0, decoded.length);
  }

  #gatherBase64({ bytes, words }: Memory, from: number, to: number): KeyladderError | undefined {
    const { marked } = this.#work;
    if (marked && !beginsWithMark(bytes, from, to)) return rowError(this.#line, NOT_SEALED);
    const start = from + (marked ? MARK.length : 0);
    const end = readBase64(words, start, to, this.#values.reserve(to - from).words, this.#values.end);
    if (end < 0) return rowError(this.#line, marked ? "a sealed field that is not base64" : NOT_BASE64);
    this.#values.closeAt(end);
    return undefined;
  }

  #isMarked({ textFrom, textTo, decoded }: Found): boolean {
    const text = decoded ?? this.#buffer;
    const from = decoded === undefined ? textFrom : 0;
    const quotes = text[from] === 0x22 ? 1 : 0; // a JSON value as it is written
    return beginsWithMark(text, from + quotes, decoded?.length ?? textTo);
  }

  /** As one more value, `behind` bytes after the last one, which are there already. */
  #appendText(arena: ArenaBuilder, { textFrom, textTo, decoded }: Found, behind: number): void {
    const start = arena.end + behind;
    const length = decoded?.length ?? textTo - textFrom;
    const memory = arena.reserve(behind + length);
    if (decoded !== undefined) memory.bytes.set(decoded, start);
    else copyShort(this.#memory, textFrom, textTo, memory, start);
    arena.closeAt(start + length);
  }

  /** The rows from `from` to `to` with their new values; a bad row is left out, or ends it all. */
  #emit(from: number, to: number, { values, failed }: Outcome): { bytes: Uint8Array; failure: unknown } {
    const out = this.#room(this.#mostBytes(to - from, values));
    const made = new Memory(values.bytes);
    const memory = this.#memory;
    let at = 0;
    let next = from;
    let index = 0;
    for (let i = 0; i < this.#changed; i++) {
      const change = this.#changes[i] as Change;
      let bad = change.bad;
      if (bad === undefined) {
        bad = failed.get(index);
        at = copyShort(memory, next, change.from, out, at);
        const end = bad === undefined ? this.#write(made, values.offsets, index, out, at) : -1;
        index++;
        if (end >= 0) {
          at = end;
          next = change.to;
          this.counts.changed++;
          continue;
        }
        at -= change.from - change.rowFrom; // the row's beginning, which was written already
        bad = bad === undefined ? rowError(change.line, CANNOT_STAND) : withLine(change.line, bad);
      } else at = copyShort(memory, next, change.rowFrom, out, at);
      next = change.rowTo;
      this.counts.failed++;
      try {
        this.#work.onBadRow(bad);
      } catch (error) {
        return { bytes: out.bytes.subarray(0, at), failure: error };
      }
    }
    at = copyShort(memory, next, to, out, at);
    return { bytes: out.bytes.subarray(0, at), failure: undefined };
  }

  /** Two pieces of memory in turn: fresh pages cost more than what is written to them. */
  #room(bytes: number): Memory {
    const given = this.#next.bytes.length < bytes ? new Memory(Buffer.allocUnsafeSlow(2 * bytes)) : this.#next;
    this.#next = this.#last;
    this.#last = given;
    return given;
  }

  #mostBytes(rowBytes: number, { offsets }: Arena): number {
    const count = offsets.length - 1;
    const bytes = (offsets[count] as number) - (offsets[0] as number);
    const perByte = this.#work.direction === "seal" ? 4 / 3 : this.#work.format.mostBytesPerByte;
    return rowBytes + Math.ceil(bytes * perByte) + count * (base64Bytes(1) + MARK.length + 2) + SPARE_BYTES;
  }

  /** @returns where the value ends; -1 where the format cannot carry it */
  #write(made: Memory, offsets: Arena["offsets"], index: number, out: Memory, start: number): number {
    const { direction, format, marked } = this.#work;
    const from = offsets[index] as number;
    const to = offsets[index + 1] as number;
    if (direction === "open") return format.write(made, from, to, out, start);
    const quote = format.quote.charCodeAt(0);
    let at = start;
    if (format.quote !== "") out.bytes[at++] = quote;
    if (marked) at = copyShort(MARK_MEMORY, 0, MARK_BYTES.length, out, at);
    at = writeBase64(made.words, from, to, out.words, at);
    if (format.quote !== "") out.bytes[at++] = quote;
    return at;
  }
}

const NOT_SEALED = `a field that is not sealed: it does not begin with ${MARK}`;
const NOT_BASE64 = "a field that is not sealed: it is not base64";
const CANNOT_STAND = "the opened value is not what this format holds (binary data, or JSON without --json-values)";

/** A copy that short copies may read past the end of. */
function padded(bytes: Uint8Array): Memory {
  const memory = new Memory(new Uint8Array(bytes.length + COPY_SPARE_BYTES));
  memory.bytes.set(bytes);
  return memory;
}

function beginsWithMark(text: Uint8Array, from: number, to: number): boolean {
  if (to - from < MARK_BYTES.length) return false;
  for (let i = 0; i < MARK_BYTES.length; i++) if (text[from + i] !== MARK_BYTES[i]) return false;
  return true;
}

function rowError(line: number, problem: string): KeyladderError {
  return new errors.FormatError("ERR_FORMAT", `line ${line}: ${problem}`, { line });
}

function notText(line: number, direction: "seal" | "open"): KeyladderError {
  if (direction === "open") return rowError(line, NOT_SEALED);
  const hint = "--json-values seals any JSON value";
  return new errors.InputError("ERR_INPUT", `line ${line}: the field is not a string`, { line, hint });
}

function sealedAlready(line: number): KeyladderError {
  return new errors.InputError("ERR_INPUT", `line ${line}: the field is sealed already (${MARK})`, { line });
}

/** A failure of the library, with the row it is about in the place of its index. */
function withLine(line: number, { code }: KeyladderError): KeyladderError {
  if (code === "ERR_TRUNCATED") {
    return new errors.FormatError(code, `line ${line}: the sealed field is too short to be one`, { line });
  }
  const why = "not authentic, or sealed under another key, keyset, field or row id";
  return new errors.DecryptError("ERR_DECRYPT", `line ${line}: the field is ${why}`, { line });
}
