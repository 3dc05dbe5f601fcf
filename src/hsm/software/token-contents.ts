/**
 * What a token file holds, once opened, and its bytes:
 *
 *     n u16 | n x (tag u16 | lp32 value), tags strictly ascending, all five present
 *     1 serial      16 random bytes
 *     2 generation  u64, from 1, one more at every change of the file
 *     3 label       UTF-8
 *     4 master keys n u16 x (role u8 | version u32 | state u8 | wrap format u8 | key 32), by role, then version
 *     5 resident    n u32 x (object id 16 | key 32), by object id
 *
 * role 1 wrap 2 sign 3 seal 4 audit; state 1 current 2 retired; wrap format 0 none 1 rfc3394 2 rfc5649.
 */

import { type KeyObject, randomFillSync } from "node:crypto";
import {
  type Bytes,
  compareBytes,
  copyOf,
  fromUtf8,
  readU16,
  readU32,
  readU64,
  toHex,
  utf8,
  wipe,
  writeU16,
  writeU32,
  writeU64,
} from "../../bytes.js";
import { FormatError } from "../../errors.js";
import type { HmkRole, WrapFormat } from "../port.js";
import { intoKey } from "./file-key.js";

export const KEY_BYTES = 32;
export const OBJECT_ID_BYTES = 16;
const SERIAL_BYTES = 16;

/** One version of a master key. Exactly one version of a role is current: the highest. The others only verify or unwrap. */
export interface MasterKey {
  readonly role: HmkRole;
  readonly version: number;
  readonly state: "current" | "retired";
  /** The one format this version wraps in; undefined for roles that do not wrap. */
  readonly wrapFormat: WrapFormat | undefined;
  readonly key: KeyObject;
}

export interface ResidentCmk {
  readonly objectId: Uint8Array;
  readonly key: KeyObject;
}

export interface TokenContents {
  readonly serial: Uint8Array;
  readonly generation: bigint;
  readonly label: string;
  readonly masterKeys: readonly MasterKey[];
  /** By the object id in hexadecimal. */
  readonly residents: ReadonlyMap<string, ResidentCmk>;
}

const ROLES: readonly HmkRole[] = ["wrap", "sign", "seal", "audit"];
const STATES: readonly MasterKey["state"][] = ["current", "retired"];
const FORMATS: readonly (WrapFormat | undefined)[] = [undefined, "rfc3394", "rfc5649"];

/** A fresh AES-256 or HMAC key from the generator: raw bytes only inside this call. */
export function freshKey(): KeyObject {
  return intoKey(randomFillSync(new Uint8Array(KEY_BYTES)));
}

/** A new token: a random serial number, version 1 of every master key, no resident CMK. */
export function freshContents(label: string): TokenContents {
  return {
    serial: randomFillSync(new Uint8Array(SERIAL_BYTES)),
    generation: 1n,
    label,
    masterKeys: ROLES.map((role) => ({
      role,
      version: 1,
      state: "current",
      wrapFormat: wraps(role) ? "rfc5649" : undefined,
      key: freshKey(),
    })),
    residents: new Map(),
  };
}

function wraps(role: HmkRole): boolean {
  return role === "wrap" || role === "sign";
}

const MASTER_KEY_BYTES = 1 + 4 + 1 + 1 + KEY_BYTES;
const RESIDENT_BYTES = OBJECT_ID_BYTES + KEY_BYTES;
const FIELD_HEADER_BYTES = 2 + 4;
const FIELDS = 5;

/** Holds every key in the clear: the caller wipes what returns. */
export function encodeContents(contents: TokenContents): Bytes {
  const label = utf8(contents.label, '"label"');
  const masterKeys = [...contents.masterKeys].sort(byRoleThenVersion);
  const residents = [...contents.residents.values()].sort((a, b) => compareBytes(a.objectId, b.objectId));
  const sizes = [
    SERIAL_BYTES,
    8,
    label.length,
    2 + masterKeys.length * MASTER_KEY_BYTES,
    4 + residents.length * RESIDENT_BYTES,
  ];
  // One buffer of the exact size, written in place: no intermediate copy of a key is left behind.
  const out = new Uint8Array(2 + FIELDS * FIELD_HEADER_BYTES + sizes.reduce((sum, size) => sum + size, 0));
  let at = 2;
  writeU16(out, 0, FIELDS);
  const field = (tag: number): void => {
    writeU16(out, at, tag);
    writeU32(out, at + 2, sizes[tag - 1] as number);
    at += FIELD_HEADER_BYTES;
  };
  const put = (bytes: Uint8Array): void => {
    out.set(bytes, at);
    at += bytes.length;
  };
  const putKey = (key: KeyObject): void => {
    const raw = key.export();
    put(raw);
    wipe(raw);
  };
  field(1);
  put(contents.serial);
  field(2);
  writeU64(out, at, contents.generation);
  at += 8;
  field(3);
  put(label);
  field(4);
  writeU16(out, at, masterKeys.length);
  at += 2;
  for (const { role, version, state, wrapFormat, key } of masterKeys) {
    out[at] = ROLES.indexOf(role) + 1;
    writeU32(out, at + 1, version);
    out[at + 5] = STATES.indexOf(state) + 1;
    out[at + 6] = FORMATS.indexOf(wrapFormat);
    at += 7;
    putKey(key);
  }
  field(5);
  writeU32(out, at, residents.length);
  at += 4;
  for (const { objectId, key } of residents) {
    put(objectId);
    putKey(key);
  }
  return out;
}

function byRoleThenVersion(a: MasterKey, b: MasterKey): number {
  return ROLES.indexOf(a.role) - ROLES.indexOf(b.role) || a.version - b.version;
}

/**
 * Reads what `encodeContents` wrote; `bytes` is borrowed and stays the caller's to wipe.
 * @throws FormatError ERR_FORMAT for anything else: a field missing, unknown, out of order or of another length
 */
export function decodeContents(bytes: Uint8Array): TokenContents {
  const [serial, generation, label, masterKeys, residents] = splitFields(bytes);
  if (serial.length !== SERIAL_BYTES || generation.length !== 8) throw malformed("a field of another length");
  return {
    serial: copyOf(serial),
    generation: readU64(generation, 0),
    label: fromUtf8(label, "the token's label"),
    masterKeys: decodeMasterKeys(masterKeys),
    residents: decodeResidents(residents),
  };
}

type Fields = readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];

function splitFields(bytes: Uint8Array): Fields {
  if (bytes.length < 2 || readU16(bytes, 0) !== FIELDS) throw malformed("another number of fields");
  let at = 2;
  const values: Uint8Array[] = [];
  for (let tag = 1; tag <= FIELDS; tag++) {
    if (bytes.length - at < FIELD_HEADER_BYTES) throw malformed("cut short");
    if (readU16(bytes, at) !== tag) throw malformed("a field missing, unknown or out of order");
    const length = readU32(bytes, at + 2);
    at += FIELD_HEADER_BYTES;
    if (length > bytes.length - at) throw malformed("cut short");
    values.push(bytes.subarray(at, at + length));
    at += length;
  }
  if (at !== bytes.length) throw malformed("trailing bytes");
  return values as unknown as Fields;
}

function decodeMasterKeys(bytes: Uint8Array): MasterKey[] {
  if (bytes.length < 2 || bytes.length !== 2 + readU16(bytes, 0) * MASTER_KEY_BYTES) throw malformed("master keys");
  const keys: MasterKey[] = [];
  for (let at = 2; at < bytes.length; at += MASTER_KEY_BYTES) {
    const role = ROLES[(bytes[at] as number) - 1];
    const version = readU32(bytes, at + 1);
    const state = STATES[(bytes[at + 5] as number) - 1];
    const format = bytes[at + 6] as number;
    if (role === undefined || version === 0 || state === undefined) throw malformed("a master key");
    if (format >= FORMATS.length || (format !== 0) !== wraps(role)) throw malformed("a master key's wrap format");
    const next = { role, version, state, wrapFormat: FORMATS[format], key: readKey(bytes, at + 7) };
    const previous = keys.at(-1);
    if (previous !== undefined && byRoleThenVersion(previous, next) >= 0) throw malformed("master keys out of order");
    keys.push(next);
  }
  for (const role of ROLES) {
    const versions = keys.filter((key) => key.role === role);
    const current = versions.filter((key) => key.state === "current");
    if (current.length !== 1 || versions.at(-1) !== current[0]) throw malformed(`no current master key "${role}"`);
  }
  return keys;
}

function decodeResidents(bytes: Uint8Array): Map<string, ResidentCmk> {
  if (bytes.length < 4 || bytes.length !== 4 + readU32(bytes, 0) * RESIDENT_BYTES) throw malformed("resident keys");
  const residents = new Map<string, ResidentCmk>();
  let previous: Uint8Array | undefined;
  for (let at = 4; at < bytes.length; at += RESIDENT_BYTES) {
    const objectId = copyOf(bytes.subarray(at, at + OBJECT_ID_BYTES));
    if (previous !== undefined && compareBytes(previous, objectId) >= 0) throw malformed("resident keys out of order");
    residents.set(toHex(objectId), { objectId, key: readKey(bytes, at + OBJECT_ID_BYTES) });
    previous = objectId;
  }
  return residents;
}

function readKey(bytes: Uint8Array, at: number): KeyObject {
  return intoKey(copyOf(bytes.subarray(at, at + KEY_BYTES)));
}

function malformed(what: string): FormatError {
  return new FormatError("ERR_FORMAT", `the token file's contents are malformed: ${what}`);
}
