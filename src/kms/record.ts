/**
 * The body of a sealed record: bytes <-> values, strictly. One value has one encoding, and anything else is refused.
 *
 *     "KLR" 01 | type u8 | storeId 16 | tenantId 16 | recordId 16 | revision u64 | n u16 | n x (tag u16 | lp32 value)
 *
 * Integers big-endian, tags strictly ascending, no bytes left over.
 */

import {
  ascii,
  type Bytes,
  concat,
  copyOf,
  readU16,
  readU32,
  readU64,
  u16,
  u64,
  writeU16,
  writeU32,
} from "../bytes.js";
import { EngineError, FormatError } from "../errors.js";

/** What a record is. The numbers are on disk: never reused. 5-8 and 11-13 are taken by policies, grants, … to come. */
export const RECORD_TYPES = Object.freeze({
  tenant: 1,
  key: 2,
  keyVersion: 3,
  alias: 4,
  policy: 5,
  grant: 6,
  principal: 7,
  importToken: 8,
  lease: 9,
  setting: 10,
  head: 11,
  probe: 12,
  tombstone: 13,
  keyset: 14,
});

export const ID_BYTES = 16;
const MAGIC = concat(ascii("KLR"), Uint8Array.of(1));
const TYPE_AT = MAGIC.length;
const STORE_AT = TYPE_AT + 1;
const TENANT_AT = STORE_AT + ID_BYTES;
const RECORD_AT = TENANT_AT + ID_BYTES;
const REVISION_AT = RECORD_AT + ID_BYTES;
const COUNT_AT = REVISION_AT + 8;
const FIELDS_AT = COUNT_AT + 2;

/** A record's values. `fields` maps a tag (u16) to its value's bytes. */
export interface RecordBody {
  readonly type: number;
  readonly storeId: Uint8Array;
  /** 16 zero bytes for what belongs to the whole store. */
  readonly tenantId: Uint8Array;
  readonly recordId: Uint8Array;
  /** From 1, one more at each write. */
  readonly revision: number;
  readonly fields: ReadonlyMap<number, Uint8Array>;
}

/** Encodes; what is wrong here is a fault of ours. @throws EngineError ERR_INTERNAL */
export function encodeRecord(record: RecordBody): Bytes {
  for (const id of [record.storeId, record.tenantId, record.recordId]) {
    if (id.length !== ID_BYTES) throw new EngineError("ERR_INTERNAL", `a record's id has ${id.length} bytes`);
  }
  if (!Number.isSafeInteger(record.revision) || record.revision < 1) {
    throw new EngineError("ERR_INTERNAL", "a record's revision is not from 1");
  }
  const tags = [...record.fields.keys()].sort((a, b) => a - b);
  const parts: Uint8Array[] = [MAGIC, Uint8Array.of(record.type), record.storeId, record.tenantId, record.recordId];
  parts.push(u64(record.revision), u16(tags.length));
  for (const tag of tags) {
    const value = record.fields.get(tag) as Uint8Array;
    const head = new Uint8Array(6);
    writeU16(head, 0, tag);
    writeU32(head, 2, value.length);
    parts.push(head, value);
  }
  return concat(...parts);
}

/** Decodes strictly; the values are copies. @throws FormatError ERR_FORMAT, ERR_UNSUPPORTED_VERSION with `offset` */
export function decodeRecord(body: Uint8Array): RecordBody {
  const malformed = (what: string, offset: number) => new FormatError("ERR_FORMAT", `record: ${what}`, { offset });
  if (body.length < FIELDS_AT) throw malformed("cut short", body.length);
  for (let i = 0; i < 3; i++) if (body[i] !== MAGIC[i]) throw malformed("not a record", i);
  if (body[3] !== MAGIC[3]) throw new FormatError("ERR_UNSUPPORTED_VERSION", "record: unknown version", { offset: 3 });
  const revision = readU64(body, REVISION_AT);
  if (revision < 1n || revision > BigInt(Number.MAX_SAFE_INTEGER))
    throw malformed("revision out of range", REVISION_AT);

  const fields = new Map<number, Uint8Array>();
  let at = FIELDS_AT;
  let last = -1;
  for (let left = readU16(body, COUNT_AT); left > 0; left--) {
    if (body.length - at < 6) throw malformed("cut short", at);
    const tag = readU16(body, at);
    if (tag <= last) throw malformed("tags unordered or repeated", at);
    const length = readU32(body, at + 2);
    if (length > body.length - at - 6) throw malformed("cut short", at + 2);
    fields.set(tag, copyOf(body.subarray(at + 6, at + 6 + length)));
    at += 6 + length;
    last = tag;
  }
  if (at !== body.length) throw malformed("bytes left over", at);
  return {
    type: body[TYPE_AT] as number,
    storeId: copyOf(body.subarray(STORE_AT, TENANT_AT)),
    tenantId: copyOf(body.subarray(TENANT_AT, RECORD_AT)),
    recordId: copyOf(body.subarray(RECORD_AT, REVISION_AT)),
    revision: Number(revision),
    fields,
  };
}
