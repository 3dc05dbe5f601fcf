/** The encryption context: serialising, parsing, and reading it once from a caller (format: "encryption context"). */

import { type Bytes, compareBytes, EMPTY, fromUtf8, readU16, utf8, writeU16 } from "../bytes.js";
import { FormatError, InputError, LimitError } from "../errors.js";
import { MAX_FIELD_BYTES, OWN_CONTEXT_PREFIX, PUBLIC_KEY_CONTEXT_KEY, RESERVED_CONTEXT_PREFIX } from "./limits.js";

/** Authenticated with the message and stored IN CLEAR in its header: no private data. Returned ones have no prototype. */
export type EncryptionContext = Readonly<Record<string, string>>;

export const NO_PAIRS: EncryptionContext = Object.freeze(Object.create(null));

/** A frozen context without a prototype, of the given pairs in their order. */
export function contextOf(pairs: Iterable<readonly [string, string]>): EncryptionContext {
  const context: Record<string, string> = Object.create(null);
  for (const [key, value] of pairs) context[key] = value;
  return Object.freeze(context);
}

/** Of any realm. A Map, or an object that inherits its pairs, would read as one without pairs: nothing bound or demanded. */
function isPlainObject(given: unknown): given is Record<string, unknown> {
  if (typeof given !== "object" || given === null) return false;
  const prototype: unknown = Object.getPrototypeOf(given);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * Reads a caller's context, each property once, into a frozen copy: no getter and no later change gets between what is
 * authorised, what is bound and what is written (ladder rule 3).
 * @throws InputError ERR_INPUT for anything but a plain object of well-formed strings, and for reserved keys
 */
export function readContext(given: unknown): EncryptionContext {
  if (given === undefined) return NO_PAIRS;
  if (!isPlainObject(given)) throw new InputError("ERR_INPUT", '"context" expected a plain object of strings');
  const pairs: [string, string][] = [];
  for (const key of Object.keys(given)) {
    const value: unknown = given[key];
    if (typeof value !== "string") throw new InputError("ERR_INPUT", `"context" key "${key}" expected a string value`);
    if (!key.isWellFormed() || !value.isWellFormed()) {
      throw new InputError("ERR_INPUT", '"context" holds a lone surrogate: it has no UTF-8 form');
    }
    if (key.startsWith(RESERVED_CONTEXT_PREFIX) || key.startsWith(OWN_CONTEXT_PREFIX)) {
      throw new InputError("ERR_INPUT", `"context" key "${key}" has a reserved prefix`);
    }
    pairs.push([key, value]);
  }
  return pairs.length === 0 ? NO_PAIRS : contextOf(pairs);
}

/**
 * The wire form: nothing for no pairs; else a u16 count and, sorted by the unsigned bytes of the UTF-8 key, u16 length
 * and bytes of each key and value. At most 65535 bytes.
 * @throws LimitError ERR_LIMIT_HEADER
 */
export function serializeContext(context: EncryptionContext): Bytes {
  if (context === NO_PAIRS) return EMPTY;
  const keys = Object.keys(context);
  if (keys.length === 0) return EMPTY;
  const pairs = keys.map((key) => [utf8(key, '"context"'), utf8(context[key] as string, '"context"')] as const);
  pairs.sort((a, b) => compareBytes(a[0], b[0]));
  let length = 2;
  for (const [key, value] of pairs) length += 4 + key.length + value.length;
  if (length > MAX_FIELD_BYTES) {
    throw new LimitError("ERR_LIMIT_HEADER", `the context takes ${length} bytes, the format allows ${MAX_FIELD_BYTES}`);
  }
  const out = new Uint8Array(length);
  writeU16(out, 0, pairs.length);
  let at = 2;
  for (const pair of pairs) {
    for (const field of pair) {
      writeU16(out, at, field.length);
      out.set(field, at + 2);
      at += 2 + field.length;
    }
  }
  return out;
}

/** Contexts parsed lately, by their wire form: most messages of a process carry one of few. */
const parsed = new Map<string, EncryptionContext>();
const MAX_PARSED = 64;
const MAX_PARSED_BYTES = 128;

/**
 * `parseContext`, remembering what short contexts say.
 * @throws FormatError ERR_FORMAT
 */
export function readWireContext(bytes: Uint8Array, offset: number): EncryptionContext {
  if (bytes.length === 0 || bytes.length > MAX_PARSED_BYTES) return parseContext(bytes, offset);
  const wire = String.fromCharCode.apply(null, bytes as unknown as number[]);
  const known = parsed.get(wire);
  if (known !== undefined) return known;
  const context = parseContext(bytes, offset);
  if (parsed.size >= MAX_PARSED) parsed.delete(parsed.keys().next().value as string);
  parsed.set(wire, context);
  return context;
}

/**
 * Parses the wire form strictly: exact length, valid UTF-8, no duplicate key. The order is not demanded: messages of
 * other writers carry unsorted ones. `offset` is where `bytes` starts in the message, for errors.
 * @throws FormatError ERR_FORMAT
 */
export function parseContext(bytes: Uint8Array, offset: number): EncryptionContext {
  if (bytes.length === 0) return NO_PAIRS;
  const malformed = (what: string, at: number) => new FormatError("ERR_FORMAT", what, { offset: offset + at });
  if (bytes.length < 2) throw malformed("the encryption context is cut short", 0);
  const count = readU16(bytes, 0);
  if (count === 0) throw malformed("the encryption context has a length but no pairs", 0);
  let at = 2;
  const field = (what: string): string => {
    if (at + 2 > bytes.length) throw malformed("the encryption context is cut short", at);
    const end = at + 2 + readU16(bytes, at);
    if (end > bytes.length) throw malformed("the encryption context is cut short", at);
    const text = fromUtf8(bytes.subarray(at + 2, end), what, offset + at + 2);
    at = end;
    return text;
  };
  const context: Record<string, string> = Object.create(null);
  for (let i = 0; i < count; i++) {
    const start = at;
    const key = field("a key of the encryption context");
    if (key in context) throw malformed("the encryption context repeats a key", start);
    context[key] = field("a value of the encryption context");
  }
  if (at !== bytes.length) throw malformed("bytes are left over in the encryption context", at);
  return Object.freeze(context);
}

/** `context` with the pairs of `more`; a key in both is an error of the caller's. */
export function mergeContexts(context: EncryptionContext, more: EncryptionContext): EncryptionContext {
  if (more === NO_PAIRS || Object.keys(more).length === 0) return context;
  return contextOf([...Object.entries(context), ...Object.entries(more)]);
}

/**
 * Reads the names of a caller's required pairs, once: each must be in `context`.
 * @throws InputError ERR_INPUT
 */
export function readRequired(given: unknown, context: EncryptionContext): readonly string[] {
  if (given === undefined) return [];
  const names: unknown[] = Array.isArray(given) ? [...given] : [undefined];
  return names.map((name) => {
    if (typeof name !== "string") throw new InputError("ERR_INPUT", '"requiredContext" expected an array of strings');
    if (name in context) return name;
    throw new InputError("ERR_INPUT", `"requiredContext" names "${name}", which "context" lacks`);
  });
}

/** Splits off the pairs that are bound but not stored. */
export function splitRequired(
  context: EncryptionContext,
  required: readonly string[],
): { stored: EncryptionContext; required: EncryptionContext } {
  if (required.length === 0) return { stored: context, required: NO_PAIRS };
  const entries = Object.entries(context);
  return {
    stored: contextOf(entries.filter(([key]) => !required.includes(key))),
    required: contextOf(entries.filter(([key]) => required.includes(key))),
  };
}

/** The context without the pair that carries a signing key, as the caller gave it. */
export function publicContext(context: EncryptionContext): EncryptionContext {
  if (!(PUBLIC_KEY_CONTEXT_KEY in context)) return context;
  return contextOf(Object.entries(context).filter(([key]) => key !== PUBLIC_KEY_CONTEXT_KEY));
}
