/** Typed fields of a record: a codec for each kind of value, and a table of (tag, codec) for each type of record. */

import { concat, copyOf, fromUtf8, lp32, readU32, readU64, u32, u64, utf8 } from "../bytes.js";
import { FormatError } from "../errors.js";
import { ID_BYTES } from "./record.js";

/** A value as exactly one string of bytes. `decode` throws FormatError ERR_FORMAT for anything else. */
export interface Codec<T> {
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

function malformed(what: string): FormatError {
  return new FormatError("ERR_FORMAT", `record field: ${what}`);
}

function exactly(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw malformed(`expected ${length} bytes, got ${bytes.length}`);
  return bytes;
}

/** UTF-8 as given, never normalised. */
export const text: Codec<string> = {
  encode: (value) => utf8(value, "text"),
  decode: (bytes) => fromUtf8(bytes, "record field"),
};

export const bytes: Codec<Uint8Array> = { encode: copyOf, decode: copyOf };

export const id: Codec<Uint8Array> = {
  encode: (value) => copyOf(exactly(value, ID_BYTES)),
  decode: (value) => copyOf(exactly(value, ID_BYTES)),
};

export const uint32: Codec<number> = { encode: u32, decode: (value) => readU32(exactly(value, 4), 0) };

/** A safe integer in eight bytes: times (ms UTC), lengths of time, counts. */
export const uint64: Codec<number> = {
  encode: u64,
  decode: (value) => {
    const big = readU64(exactly(value, 8), 0);
    if (big > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed("number out of range");
    return Number(big);
  },
};

export const flag: Codec<boolean> = {
  encode: (value) => Uint8Array.of(value ? 1 : 0),
  decode: (value) => {
    const byte = exactly(value, 1)[0] as number;
    if (byte > 1) throw malformed("neither true nor false");
    return byte === 1;
  },
};

/** One of a few words, each by its number. */
export function oneOf<const T extends string>(numbers: Readonly<Record<T, number>>): Codec<T> {
  const words = new Map(Object.entries<number>(numbers).map(([word, number]) => [number, word as T]));
  return {
    encode: (value) => Uint8Array.of(numbers[value]),
    decode: (value) => {
      const word = words.get(exactly(value, 1)[0] as number);
      if (word === undefined) throw malformed("unknown value");
      return word;
    },
  };
}

/** Items one after another, each lp32. */
export function listOf<T>(item: Codec<T>): Codec<readonly T[]> {
  return {
    encode: (values) => concat(...values.map((value) => lp32(item.encode(value)))),
    decode: (value) => {
      const items: T[] = [];
      for (let at = 0; at < value.length; ) {
        if (value.length - at < 4 || readU32(value, at) > value.length - at - 4) throw malformed("list cut short");
        const end = at + 4 + readU32(value, at);
        items.push(item.decode(value.subarray(at + 4, end)));
        at = end;
      }
      return items;
    },
  };
}

/** Pairs of text by ascending key (UTF-16 code units): one encoding for one set of pairs. */
export const pairs: Codec<Readonly<Record<string, string>>> = {
  encode: (value) =>
    listOf(text).encode(
      Object.keys(value)
        .sort()
        .flatMap((key) => [key, value[key] as string]),
    ),
  decode: (value) => {
    const flat = listOf(text).decode(value);
    if (flat.length % 2 !== 0) throw malformed("a key without a value");
    const out: Record<string, string> = Object.create(null);
    for (let i = 0; i < flat.length; i += 2) {
      const key = flat[i] as string;
      if (i > 0 && key <= (flat[i - 2] as string)) throw malformed("keys unordered or repeated");
      out[key] = flat[i + 1] as string;
    }
    return Object.freeze(out);
  },
};

export interface Field<T, Optional extends boolean> {
  readonly tag: number;
  readonly codec: Codec<T>;
  readonly optional: Optional;
}

export function field<T>(tag: number, codec: Codec<T>): Field<T, false> {
  return { tag, codec, optional: false };
}

export function optional<T>(tag: number, codec: Codec<T>): Field<T, true> {
  return { tag, codec, optional: true };
}

type FieldTable = Readonly<Record<string, Field<unknown, boolean>>>;
type ValueOf<F> = F extends Field<infer T, boolean> ? T : never;

/** The values of a table: what is optional may be absent. */
export type ValuesOf<F> = {
  readonly [K in keyof F as F[K] extends Field<infer _T, false> ? K : never]: ValueOf<F[K]>;
} & {
  readonly [K in keyof F as F[K] extends Field<infer _T, true> ? K : never]?: ValueOf<F[K]>;
};

/** A table as one codec between values and a map of tags. Unknown and missing tags are refused. */
export function fieldTable<const F extends FieldTable>(
  fields: F,
): {
  encode(values: ValuesOf<F>): Map<number, Uint8Array>;
  decode(map: ReadonlyMap<number, Uint8Array>): ValuesOf<F>;
} {
  const entries = Object.entries(fields) as [string, Field<unknown, boolean>][];
  return {
    encode(values) {
      const map = new Map<number, Uint8Array>();
      for (const [name, { tag, codec }] of entries) {
        const value = (values as Record<string, unknown>)[name];
        if (value !== undefined) map.set(tag, codec.encode(value));
      }
      return map;
    },
    decode(map) {
      const values: Record<string, unknown> = {};
      let known = 0;
      for (const [name, { tag, codec, optional: mayLack }] of entries) {
        const value = map.get(tag);
        if (value === undefined) {
          if (mayLack) continue;
          throw malformed(`"${name}" is missing`);
        }
        values[name] = codec.decode(value);
        known++;
      }
      if (known !== map.size) throw malformed("unknown tag");
      return values as ValuesOf<F>;
    },
  };
}
