/** Tink keysets written as JSON (proto3's mapping): text -> values. */

import { fromBase64 } from "../bytes.js";
import { FormatError } from "../errors.js";
import { keysetOf, MAX_KEYSET_BYTES, MAX_KEYSET_KEYS, type TinkKeyParts, type TinkKeyset } from "./tink.js";

const STATUS = { ENABLED: 1, DISABLED: 2, DESTROYED: 3 };
const PREFIX = { TINK: 1, LEGACY: 2, RAW: 3, CRUNCHY: 4, WITH_ID_REQUIREMENT: 5 };
const MATERIAL = { SYMMETRIC: 1, ASYMMETRIC_PRIVATE: 2, ASYMMETRIC_PUBLIC: 3, REMOTE: 4 };

function malformed(what: string, cause?: unknown): FormatError {
  return new FormatError("ERR_FORMAT", `keyset: ${what}`, cause === undefined ? {} : { cause });
}

/** An object with exactly these members, or some of them. */
function members(value: unknown, names: readonly string[], what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(`${what} is not an object`);
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined) throw malformed(`${what} has an unknown member`);
  return value as Record<string, unknown>;
}

/** @throws FormatError ERR_FORMAT, ERR_UNSUPPORTED_VERSION */
export function parseJsonKeyset(text: string): TinkKeyset {
  if (text.length > MAX_KEYSET_BYTES) throw malformed(`more than ${MAX_KEYSET_BYTES} characters`);
  const { primaryKeyId, key } = members(parse(text), ["primaryKeyId", "key"], "the keyset");
  if (!Array.isArray(key) || key.length > MAX_KEYSET_KEYS) throw malformed(`expected 1 to ${MAX_KEYSET_KEYS} keys`);
  return keysetOf(uint32(primaryKeyId), key.map(keyParts));
}

function parse(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed("not JSON"); // without the cause: its message repeats what it stumbled over
  }
  refuseRepeatedNames(text, value);
  return value;
}

/** JSON.parse takes the last of two members of one name; which one was meant is not ours to guess. */
function refuseRepeatedNames(text: string, value: unknown): void {
  const written = text.match(/"(?:[^"\\]|\\.)*"\s*:/g)?.length ?? 0;
  const count = (node: unknown): number => {
    if (typeof node !== "object" || node === null) return 0;
    const inner = Object.values(node);
    return inner.reduce<number>((sum, one) => sum + count(one), Array.isArray(node) ? 0 : inner.length);
  };
  if (written !== count(value)) throw malformed("a member is repeated");
}

function keyParts(value: unknown): TinkKeyParts {
  const { keyData, status, keyId, outputPrefixType } = members(
    value,
    ["keyData", "status", "keyId", "outputPrefixType"],
    "a key",
  );
  const data = members(keyData, ["typeUrl", "value", "keyMaterialType"], "a key's data");
  if (typeof data.typeUrl !== "string" || typeof data.value !== "string") throw malformed("a key without its data");
  const bytes = fromBase64(data.value);
  if (bytes === undefined) throw malformed("a key that is not base64");
  return {
    typeUrl: data.typeUrl,
    value: bytes,
    materialType: wordOf(MATERIAL, data.keyMaterialType),
    status: wordOf(STATUS, status),
    keyId: uint32(keyId),
    prefixType: wordOf(PREFIX, outputPrefixType),
    offset: 0,
  };
}

function wordOf(words: Readonly<Record<string, number>>, word: unknown): number {
  const number = typeof word === "string" && Object.hasOwn(words, word) ? words[word] : undefined;
  if (number === undefined) throw malformed("an unknown word");
  return number;
}

function uint32(value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) return value;
  throw malformed("a key id is not a whole number of 32 bits");
}
