/**
 * Tink keysets: bytes <-> values, for AES-GCM and XAES-256-GCM keys.
 *
 *     Keyset          1 primary_key_id u32 · 2 Key, one or more
 *     Key             1 KeyData · 2 status (1 ENABLED 2 DISABLED 3 DESTROYED) · 3 key_id u32 · 4 prefix (1 TINK 3 RAW)
 *     KeyData         1 type_url · 2 value · 3 type (1 SYMMETRIC)
 *     AesGcmKey       1 version (0) · 3 key_value, 16 or 32 bytes
 *     XAesGcmKey      1 version (0) · 2 XAesGcmParams{1 salt_size, 8 to 12} · 3 key_value, 32 bytes
 *     EncryptedKeyset 2 encrypted_keyset · 3 KeysetInfo (informative: nothing is decided by it)
 *
 * Written with fields ascending and defaults left out. Read strictly: what is unknown is refused where it decides
 * something; a key of another type is kept as one that cannot be used.
 */

import { ascii, type Bytes, concat, copyOf, fromUtf8, u32, wipe } from "../bytes.js";
import { FormatError } from "../errors.js";
import {
  bytesField,
  malformedProto,
  numberField,
  numberOf,
  type ProtoField,
  readFields,
  readOnce,
} from "./protobuf.js";

const TYPE_PREFIX = "type.googleapis.com/google.crypto.tink.";
export const AES_GCM_TYPE = `${TYPE_PREFIX}AesGcmKey`;
export const XAES_GCM_TYPE = `${TYPE_PREFIX}XAesGcmKey`;

/** Far above what rotation makes; a bound on what a stranger's keyset may cost. */
export const MAX_KEYSET_KEYS = 1024;
/** An encrypted keyset of that many keys, its context of at most 64 KiB included. */
export const MAX_KEYSET_BYTES = 1024 * 1024;

const ENABLED = 1;
const DESTROYED = 3;
const SYMMETRIC = 1;
const TINK = 1;
const RAW = 3;
const MAX_PREFIX_TYPE = 5;
/** First byte of a record under a TINK key, before the key id. */
const TINK_START = 1;

export type TinkAlgorithm =
  | { readonly name: "aes-gcm" }
  | { readonly name: "xaes-256-gcm"; readonly saltBytes: number };

/** A key's secret part. Owned by whoever holds the keyset; `wipeKeyset` when done. */
export interface TinkMaterial {
  readonly algorithm: TinkAlgorithm;
  /** 16 or 32 bytes. */
  readonly key: Bytes;
}

export interface TinkKey {
  /** u32. */
  readonly keyId: number;
  readonly enabled: boolean;
  /** What records under it begin with: 01 and the key id, or nothing (RAW). Undefined for prefixes we do not write or read. */
  readonly prefix: Bytes | undefined;
  /** Undefined for key types we do not know, and for destroyed keys. */
  readonly material: TinkMaterial | undefined;
}

export interface TinkKeyset {
  readonly primaryKeyId: number;
  readonly keys: readonly TinkKey[];
}

export function tinkPrefix(keyId: number): Bytes {
  return concat(Uint8Array.of(TINK_START), u32(keyId));
}

/** Overwrites the keys of a keyset. */
export function wipeKeyset(keyset: TinkKeyset): void {
  for (const { material } of keyset.keys) wipe(material?.key);
}

/** The parts of a key as they stand in either encoding, not yet looked at. */
export interface TinkKeyParts {
  readonly typeUrl: string;
  /** Borrowed. */
  readonly value: Uint8Array;
  /** Numbers of the protobuf enums. */
  readonly materialType: number;
  readonly status: number;
  readonly keyId: number;
  readonly prefixType: number;
  readonly offset: number;
}

/** @param bytes borrowed; holds the keys, so wiping it is the caller's job @throws FormatError ERR_FORMAT, ERR_UNSUPPORTED_VERSION */
export function parseKeyset(bytes: Uint8Array): TinkKeyset {
  let primaryKeyId: number | undefined;
  const parts: TinkKeyParts[] = [];
  for (const { number, value, offset } of readFields(bytes)) {
    if (number === 1 && typeof value === "number" && primaryKeyId === undefined) primaryKeyId = value;
    else if (number === 2 && typeof value !== "number") parts.push(keyParts(value, offset));
    else throw malformedProto(`unknown or repeated field ${number}`, offset);
    if (parts.length > MAX_KEYSET_KEYS) throw malformedProto(`more than ${MAX_KEYSET_KEYS} keys`, offset);
  }
  return keysetOf(primaryKeyId ?? 0, parts);
}

const KEY_FIELDS = { 1: "bytes", 2: "number", 3: "number", 4: "number" } as const;
const KEY_DATA_FIELDS = { 1: "bytes", 2: "bytes", 3: "number" } as const;

function keyParts(bytes: Uint8Array, offset: number): TinkKeyParts {
  const key = readOnce(bytes, KEY_FIELDS, offset);
  const data = key.get(1);
  const fields =
    data === undefined
      ? new Map<number, ProtoField>()
      : readOnce(data.value as Uint8Array, KEY_DATA_FIELDS, data.offset);
  const typeUrl = fields.get(1);
  return {
    typeUrl: typeUrl === undefined ? "" : fromUtf8(typeUrl.value as Uint8Array, "a key's type", typeUrl.offset),
    value: (fields.get(2)?.value as Uint8Array | undefined) ?? new Uint8Array(0),
    materialType: numberOf(fields, 3),
    status: numberOf(key, 2),
    keyId: numberOf(key, 3),
    prefixType: numberOf(key, 4),
    offset,
  };
}

/** What both encodings share: one primary key, enabled; no key id twice. @throws FormatError */
export function keysetOf(primaryKeyId: number, parts: readonly TinkKeyParts[]): TinkKeyset {
  const keys: TinkKey[] = [];
  try {
    for (const part of parts) {
      if (keys.some(({ keyId }) => keyId === part.keyId)) throw malformedProto("a key id is repeated", part.offset);
      keys.push(keyOf(part));
    }
    const primary = keys.find(({ keyId }) => keyId === primaryKeyId);
    if (primary === undefined) throw malformedProto("no key is the primary one", 0);
    if (!primary.enabled) throw malformedProto("the primary key is not enabled", 0);
    return { primaryKeyId, keys };
  } catch (error) {
    wipeKeyset({ primaryKeyId, keys });
    throw error;
  }
}

function keyOf(part: TinkKeyParts): TinkKey {
  const { status, keyId, prefixType, offset } = part;
  if (status < ENABLED || status > DESTROYED) throw malformedProto("a key of unknown status", offset);
  if (prefixType < 1 || prefixType > MAX_PREFIX_TYPE) throw malformedProto("a key of unknown output prefix", offset);
  const prefix = prefixType === TINK ? tinkPrefix(keyId) : prefixType === RAW ? new Uint8Array(0) : undefined;
  return { keyId, enabled: status === ENABLED, prefix, material: status === DESTROYED ? undefined : materialOf(part) };
}

function materialOf({ typeUrl, value, materialType, offset }: TinkKeyParts): TinkMaterial | undefined {
  if (typeUrl === "" || value.length === 0) throw malformedProto("a key without its data", offset);
  if (typeUrl !== AES_GCM_TYPE && typeUrl !== XAES_GCM_TYPE) return undefined;
  if (materialType !== SYMMETRIC) throw malformedProto("a symmetric key that says it is none", offset);
  return typeUrl === AES_GCM_TYPE ? parseAesGcmKey(value, offset) : parseXaesGcmKey(value, offset);
}

/** Refuses versions we do not know: they may mean something else by the same bytes. */
function checkVersion(fields: ReadonlyMap<number, ProtoField>, offset: number): void {
  const version = numberOf(fields, 1);
  if (version === 0) return;
  throw new FormatError("ERR_UNSUPPORTED_VERSION", `keyset: a key of version ${version}`, { offset });
}

function keyValue(fields: ReadonlyMap<number, ProtoField>, allowed: readonly number[], offset: number): Bytes {
  const value = fields.get(3)?.value as Uint8Array | undefined;
  if (value === undefined || !allowed.includes(value.length)) {
    throw malformedProto(`a key of ${value?.length ?? 0} bytes, expected ${allowed.join(" or ")}`, offset);
  }
  return copyOf(value);
}

/** The protobuf of one AES-GCM key: what a Tink KMS envelope wraps. The key is a copy. @throws FormatError */
export function parseAesGcmKey(value: Uint8Array, offset = 0): TinkMaterial {
  const fields = readOnce(value, { 1: "number", 3: "bytes" }, offset);
  checkVersion(fields, offset);
  return { algorithm: { name: "aes-gcm" }, key: keyValue(fields, [16, 32], offset) };
}

function parseXaesGcmKey(value: Uint8Array, offset: number): TinkMaterial {
  const fields = readOnce(value, { 1: "number", 2: "bytes", 3: "bytes" }, offset);
  checkVersion(fields, offset);
  const params = fields.get(2);
  const saltBytes =
    params === undefined ? 0 : numberOf(readOnce(params.value as Uint8Array, { 1: "number" }, params.offset), 1);
  if (saltBytes < 8 || saltBytes > 12) throw malformedProto(`a salt of ${saltBytes} bytes, expected 8 to 12`, offset);
  return { algorithm: { name: "xaes-256-gcm", saltBytes }, key: keyValue(fields, [32], offset) };
}

/** A key of ours as it is written: enabled, TINK prefix. */
export interface WritableKey extends TinkMaterial {
  /** 1 to 2^32 - 1. */
  readonly keyId: number;
}

/** @returns bytes that hold the keys: the caller wipes them */
export function encodeKeyset(primaryKeyId: number, keys: readonly WritableKey[]): Bytes {
  const encoded = keys.map(encodeKey);
  try {
    return concat(numberField(1, primaryKeyId), ...encoded);
  } finally {
    wipe(...encoded);
  }
}

function encodeKey({ keyId, algorithm, key }: WritableKey): Bytes {
  const value = algorithm.name === "aes-gcm" ? bytesField(3, key) : xaesKey(algorithm.saltBytes, key);
  const typeUrl = ascii(typeUrlOf(algorithm));
  const data = concat(bytesField(1, typeUrl), bytesField(2, value), numberField(3, SYMMETRIC));
  const rest = concat(numberField(2, ENABLED), numberField(3, keyId), numberField(4, TINK));
  const body = concat(bytesField(1, data), rest);
  try {
    return bytesField(2, body);
  } finally {
    wipe(value, data, body);
  }
}

function xaesKey(saltBytes: number, key: Uint8Array): Bytes {
  const value = bytesField(3, key);
  try {
    return concat(bytesField(2, numberField(1, saltBytes)), value);
  } finally {
    wipe(value);
  }
}

function typeUrlOf({ name }: TinkAlgorithm): string {
  return name === "aes-gcm" ? AES_GCM_TYPE : XAES_GCM_TYPE;
}

/** @param encrypted the sealed bytes of a Keyset */
export function encodeEncryptedKeyset(
  encrypted: Uint8Array,
  primaryKeyId: number,
  keys: readonly Pick<WritableKey, "keyId" | "algorithm">[],
): Bytes {
  const infos = keys.map(({ keyId, algorithm }) =>
    bytesField(
      2,
      concat(
        bytesField(1, ascii(typeUrlOf(algorithm))),
        numberField(2, ENABLED),
        numberField(3, keyId),
        numberField(4, TINK),
      ),
    ),
  );
  return concat(bytesField(2, encrypted), bytesField(3, concat(numberField(1, primaryKeyId), ...infos)));
}

/** The sealed bytes, a view of `bytes`. @throws FormatError ERR_FORMAT */
export function parseEncryptedKeyset(bytes: Uint8Array): Uint8Array {
  if (bytes.length > MAX_KEYSET_BYTES) throw malformedProto(`more than ${MAX_KEYSET_BYTES} bytes`, 0);
  const encrypted = readOnce(bytes, { 2: "bytes", 3: "bytes" }).get(2)?.value as Uint8Array | undefined;
  if (encrypted === undefined || encrypted.length === 0) throw malformedProto("not an encrypted keyset", 0);
  return encrypted;
}
