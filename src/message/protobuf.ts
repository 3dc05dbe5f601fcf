/** As much of Protocol Buffers' wire format as Tink keysets need: varints and length-delimited fields. Bytes <-> values. */

import { type Bytes, concat } from "../bytes.js";
import { FormatError } from "../errors.js";

const VARINT = 0;
const LENGTH_DELIMITED = 2;
/** A u64 takes ten groups of seven bits; no field here holds more than a u32. */
const MAX_VARINT_BYTES = 10;

/** One field: a number (varint) or a view of its bytes. `offset` is where it stands, for errors. */
export interface ProtoField {
  readonly number: number;
  readonly value: number | Uint8Array;
  readonly offset: number;
}

/** @param offset where `bytes` begins in what the caller was given */
export function malformedProto(what: string, offset: number): FormatError {
  return new FormatError("ERR_FORMAT", `keyset: ${what}`, { offset });
}

/** Every field of a message in its order. @throws FormatError ERR_FORMAT with `offset` */
export function* readFields(bytes: Uint8Array, base = 0): Generator<ProtoField> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = bytes[at++];
      if (byte === undefined) throw malformedProto("cut short", base + bytes.length);
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) {
        if (value > 0xffff_ffff) throw malformedProto("a number out of range", base + at);
        return value;
      }
    }
    throw malformedProto("a number out of range", base + at);
  };
  while (at < bytes.length) {
    const offset = base + at;
    const tag = varint();
    const number = tag >>> 3;
    const wireType = tag & 7;
    if (number === 0) throw malformedProto("a field without a number", offset);
    if (wireType === VARINT) yield { number, value: varint(), offset };
    else if (wireType === LENGTH_DELIMITED) {
      const length = varint();
      if (length > bytes.length - at) throw malformedProto("cut short", offset);
      at += length;
      yield { number, value: bytes.subarray(at - length, at), offset: base + at - length };
    } else throw malformedProto(`field ${number} has an unknown wire type`, offset);
  }
}

/** The fields of a message by number, each at most once. @throws FormatError ERR_FORMAT for one not in `known` */
export function readOnce(
  bytes: Uint8Array,
  known: Readonly<Record<number, "number" | "bytes">>,
  base = 0,
): Map<number, ProtoField> {
  const fields = new Map<number, ProtoField>();
  for (const field of readFields(bytes, base)) {
    const { number, value, offset } = field;
    const type = known[number];
    if (type === undefined) throw malformedProto(`unknown field ${number}`, offset);
    if ((typeof value === "number") !== (type === "number")) {
      throw malformedProto(`field ${number} is of another type`, offset);
    }
    if (fields.has(number)) throw malformedProto(`field ${number} is repeated`, offset);
    fields.set(number, field);
  }
  return fields;
}

/** 0 where the field is absent: a default is not written. */
export function numberOf(fields: ReadonlyMap<number, ProtoField>, number: number): number {
  return (fields.get(number)?.value as number | undefined) ?? 0;
}

function varintBytes(value: number): Bytes {
  const out: number[] = [];
  let left = value;
  for (; left > 0x7f; left = Math.floor(left / 128)) out.push((left % 128) | 0x80);
  out.push(left);
  return Uint8Array.from(out);
}

/** A number's field; nothing for 0. */
export function numberField(number: number, value: number): Bytes {
  return value === 0 ? new Uint8Array(0) : concat(varintBytes(number * 8 + VARINT), varintBytes(value));
}

export function bytesField(number: number, value: Uint8Array): Bytes {
  return concat(varintBytes(number * 8 + LENGTH_DELIMITED), varintBytes(value.length), value);
}
