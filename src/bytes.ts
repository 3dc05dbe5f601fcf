/** Lengths, big-endian integers, concatenation, constant-time comparison, wiping, strict UTF-8. Imports errors only. */

import { FormatError, InputError } from "./errors.js";

/** A `Uint8Array` over an `ArrayBuffer` of its own (fits fetch, Blob and WebCrypto). */
export type Bytes = ReturnType<typeof Uint8Array.of>;

/** Gives an array of so many bytes, for whoever writes all of it. */
export type TakeArray = (length: number) => Bytes;

export const EMPTY: Bytes = new Uint8Array(0);

/** From here on zeros cost more than the way around them. */
const UNFILLED_FROM_BYTES = 65_536;

/**
 * A fresh array, with a buffer of its own, for whoever writes all of it or wipes it: until then it may show what its
 * memory held before.
 */
export function unfilled(length: number): Bytes {
  if (length < UNFILLED_FROM_BYTES || typeof Buffer === "undefined") return new Uint8Array(length);
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer as ArrayBuffer);
}

/** Joins `parts` into a fresh array. */
export function concat(...parts: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** A fresh copy: exact length, its own buffer. */
export function copyOf(bytes: Uint8Array): Bytes {
  return new Uint8Array(bytes);
}

/** As it is; a copy where another thread may write to it meanwhile (ladder rule 5: each input byte is loaded once). */
export function unshared(bytes: Uint8Array): Uint8Array {
  return bytes.buffer instanceof ArrayBuffer ? bytes : copyOf(bytes);
}

/** Equal in content. Time depends on the lengths only. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

/** Unsigned byte order, shorter first on a common prefix. Not constant time: never for secrets. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Whether two views share a byte. */
export function overlap(a: Uint8Array, b: Uint8Array): boolean {
  if (a.buffer !== b.buffer || a.length === 0 || b.length === 0) return false;
  return a.byteOffset < b.byteOffset + b.length && b.byteOffset < a.byteOffset + a.length;
}

const { fill } = Uint8Array.prototype;

/** Overwrites with zeros. By the plain typed array's `fill`: a node Buffer has one of its own, ten times slower. */
export function wipe(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) {
    // Of an array that was transferred away nothing is left here to overwrite.
    if (secret !== undefined && secret.length > 0) fill.call(secret, 0);
  }
}

export function readU16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (readU16(bytes, at) * 0x10000 + readU16(bytes, at + 2)) >>> 0;
}

/** Eight bytes as a bigint: lengths and revisions on the wire may exceed 2^53. */
export function readU64(bytes: Uint8Array, at: number): bigint {
  return (BigInt(readU32(bytes, at)) << 32n) | BigInt(readU32(bytes, at + 4));
}

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** `value` is a safe non-negative integer or a bigint below 2^64. */
export function writeU64(bytes: Uint8Array, at: number, value: number | bigint): void {
  const big = BigInt(value);
  writeU32(bytes, at, Number(big >> 32n));
  writeU32(bytes, at + 4, Number(big & 0xffffffffn));
}

export function u16(value: number): Bytes {
  const out = new Uint8Array(2);
  writeU16(out, 0, value);
  return out;
}

export function u32(value: number): Bytes {
  const out = new Uint8Array(4);
  writeU32(out, 0, value);
  return out;
}

export function u64(value: number | bigint): Bytes {
  const out = new Uint8Array(8);
  writeU64(out, 0, value);
  return out;
}

/** lp16(x): u16 length, then x. */
export function lp16(bytes: Uint8Array): Bytes {
  if (bytes.length > 0xffff) throw new InputError("ERR_INPUT", `a field of ${bytes.length} bytes exceeds 65535`);
  return concat(u16(bytes.length), bytes);
}

/** lp32(x): u32 length, then x. */
export function lp32(bytes: Uint8Array): Bytes {
  return concat(u32(bytes.length), bytes);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** lp32 of each field, in one array. */
export function lengthPrefixed(fields: readonly Uint8Array[]): Bytes {
  let length = 4 * fields.length;
  for (const field of fields) length += field.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const field of fields) {
    writeU32(out, at, field.length);
    out.set(field, at + 4);
    at += 4 + field.length;
  }
  return out;
}

/** ASCII text of our own (labels, constants): one byte a character, not validated. */
export function ascii(text: string): Bytes {
  return encoder.encode(text);
}

/** L(s): a domain-separation label, ASCII then a zero byte. */
export function label(text: string): Bytes {
  return encoder.encode(`${text}\0`);
}

/** Short ASCII is converted by hand: a tenth of what a call into the platform's codec costs. */
const SHORT = 64;

/** Strict UTF-8. A lone surrogate is refused, since `TextEncoder` would silently replace it. `what` names it in the error. */
export function utf8(text: string, what: string): Bytes {
  if (text.length <= SHORT) {
    const out = new Uint8Array(text.length);
    let at = 0;
    for (let unit = 0; at < text.length; at++) {
      unit = text.charCodeAt(at);
      if (unit > 0x7f) break;
      out[at] = unit;
    }
    if (at === text.length) return out;
  }
  if (!text.isWellFormed()) throw new InputError("ERR_INPUT", `${what} holds a lone surrogate: it has no UTF-8 form`);
  return encoder.encode(text);
}

/** Strict UTF-8, byte-order mark kept. @throws FormatError ERR_FORMAT with `offset` */
export function fromUtf8(bytes: Uint8Array, what: string, offset?: number): string {
  if (bytes.length <= SHORT) {
    let text = "";
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (byte > 0x7f) break;
      text += String.fromCharCode(byte);
    }
    if (text.length === bytes.length) return text;
  }
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new FormatError(
      "ERR_FORMAT",
      `${what} is not valid UTF-8`,
      offset === undefined ? { cause } : { cause, offset },
    );
  }
}

/** Lower-case hexadecimal, for identifiers shown to people; never for keys. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** Standard base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** Standard base64 with padding; undefined where the text is not exactly that. */
export function fromBase64(text: string): Bytes | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const binary = atob(text);
  const out = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) out[i] = binary.charCodeAt(i);
  return out;
}
