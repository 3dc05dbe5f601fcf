/** Identifiers: random ones, ones derived from what must be unique, and the text form of a key's. */

import { createHash } from "node:crypto";
import { ascii, type Bytes, label, lp16, u32, utf8 } from "../bytes.js";
import { InputError } from "../errors.js";
import { ID_BYTES, RECORD_TYPES } from "./record.js";

/** What belongs to the whole store, not to a tenant. */
export const STORE_WIDE: Bytes = new Uint8Array(ID_BYTES);

export const MAX_NAME_BYTES = 256;
const KEY_ID_PREFIX = "cmk_";
/** Crockford's base32: no i, l, o, u. */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const KEY_ID_CHARS = 26;

export function sha512(...parts: readonly Uint8Array[]): Bytes {
  const hash = createHash("sha512");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

function derive(...parts: readonly Uint8Array[]): Bytes {
  return sha512(...parts).slice(0, ID_BYTES);
}

/** The record id of a name that is unique in a tenant by construction (an alias) or in the store (a tenant). */
export function nameId(storeId: Uint8Array, tenantId: Uint8Array, type: number, name: string): Bytes {
  return derive(label("keyladder/name-id/v1"), storeId, tenantId, Uint8Array.of(type), lp16(utf8(name, "name")));
}

/** A tenant's id, which is also the id of its record. */
export function tenantIdOf(storeId: Uint8Array, name: string): Bytes {
  return nameId(storeId, STORE_WIDE, RECORD_TYPES.tenant, name);
}

/** The record id of one version of a key, and of its lease. */
export function versionId(keyId: Uint8Array, version: number): Bytes {
  return derive(label("keyladder/version-id/v1"), keyId, u32(version));
}

/** The record id of a setting of the whole store. */
export function settingId(name: string): Bytes {
  return derive(label("keyladder/setting-id/v1"), ascii(name));
}

/** `cmk_` and 26 characters: the 16 bytes as a big-endian number, five bits a character, two zero bits in front. */
export function keyIdText(id: Uint8Array): string {
  let value = 0n;
  for (const byte of id) value = (value << 8n) | BigInt(byte);
  let text = "";
  for (let i = 0; i < KEY_ID_CHARS; i++) {
    text = ALPHABET.charAt(Number(value & 31n)) + text;
    value >>= 5n;
  }
  return KEY_ID_PREFIX + text;
}

/** The 16 bytes behind a key id; undefined for anything but the one text form. */
export function parseKeyId(text: string): Bytes | undefined {
  if (text.length !== KEY_ID_PREFIX.length + KEY_ID_CHARS || !text.startsWith(KEY_ID_PREFIX)) return undefined;
  let value = 0n;
  for (const character of text.slice(KEY_ID_PREFIX.length)) {
    const digit = ALPHABET.indexOf(character);
    if (digit < 0) return undefined;
    value = (value << 5n) | BigInt(digit);
  }
  if (value >> 128n !== 0n) return undefined;
  const id = new Uint8Array(ID_BYTES);
  for (let i = ID_BYTES - 1; i >= 0; i--) {
    id[i] = Number(value & 255n);
    value >>= 8n;
  }
  return id;
}

/** Checks the name of an alias, a tenant or a principal. `what` names it in the error. @throws InputError ERR_INPUT */
export function checkName(name: unknown, what: string): string {
  const wrong = (why: string) => new InputError("ERR_INPUT", `"${what}" ${why}`);
  if (typeof name !== "string" || name.length === 0) throw wrong("expected a non-empty string");
  if (utf8(name, `"${what}"`).length > MAX_NAME_BYTES) throw wrong(`expected at most ${MAX_NAME_BYTES} bytes`);
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(name)) throw wrong("must not hold control characters");
  if (name.includes(":")) throw wrong('must not hold ":"');
  if (name.trim() !== name) throw wrong("must not begin or end with a space");
  if (name.startsWith(KEY_ID_PREFIX)) throw wrong(`must not begin with "${KEY_ID_PREFIX}"`);
  return name;
}

/** What a KeyRef names: a key by id or alias, in a named tenant or in the handle's own. */
export interface ParsedKeyRef {
  readonly tenant: string;
  readonly id?: Uint8Array;
  readonly alias?: string;
}

/** 'cmk_…' | 'orders' | 'acme:orders' | 'acme:cmk_…'. @throws InputError ERR_INPUT */
export function parseKeyRef(ref: unknown, ownTenant: string): ParsedKeyRef {
  if (typeof ref !== "string" || ref.length === 0) {
    throw new InputError("ERR_INPUT", '"key" expected a key id, an alias or "tenant:alias"');
  }
  const colon = ref.indexOf(":");
  const tenant = colon < 0 ? ownTenant : checkName(ref.slice(0, colon), "tenant");
  const name = ref.slice(colon + 1);
  if (!name.startsWith(KEY_ID_PREFIX)) return { tenant, alias: checkName(name, "key") };
  const id = parseKeyId(name);
  if (id === undefined)
    throw new InputError("ERR_INPUT", `"key" is not a whole key id: ${KEY_ID_CHARS} characters follow "cmk_"`);
  return { tenant, id };
}
