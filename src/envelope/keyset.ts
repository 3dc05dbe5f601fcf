/** Keysets sealed and opened: a Tink encrypted keyset around a message with a purpose of its own (ladder-spec C). */

import { type Bytes, copyOf, readU32, wipe } from "../bytes.js";
import type { Engine } from "../engine/port.js";
import { DecryptError, FormatError, InputError } from "../errors.js";
import type { Keyring, Unwrapper } from "../keyring/port.js";
import { contextOf, type EncryptionContext } from "../message/context.js";
import { KEYSET_NAME_CONTEXT_KEY, KEYSET_PURPOSE, PURPOSE_CONTEXT_KEY } from "../message/limits.js";
import {
  encodeEncryptedKeyset,
  encodeKeyset,
  MAX_KEYSET_KEYS,
  parseEncryptedKeyset,
  parseKeyset,
  type TinkAlgorithm,
  type TinkKeyset,
  type WritableKey,
} from "../message/tink.js";
import { openMessage } from "./decrypt.js";
import { sealMessage } from "./encrypt.js";

/** How a new key seals: AES-GCM by default, counted; XAES-256-GCM costs more a record and need not be counted. */
export type RecordCipher = "aes-256-gcm" | "xaes-256-gcm";

const KEY_BYTES = 32;
const KEY_ID_BYTES = 4;
/** As C2SP has it: with 12 bytes of nonce behind the salt, 192 bits in all. */
const SALT_BYTES = 12;

export function algorithmOf(cipher: RecordCipher): TinkAlgorithm {
  return cipher === "aes-256-gcm" ? { name: "aes-gcm" } : { name: "xaes-256-gcm", saltBytes: SALT_BYTES };
}

/** What seals a keyset, or opens one. */
export interface KeysetSealing<K extends Unwrapper> {
  readonly keyring: K;
  readonly context: EncryptionContext;
  readonly engine: Engine;
}

/**
 * The keys of `before` and a new primary one, random, with an id of its own. The caller owns the new key, and `before`
 * still, whose keys are not copied.
 * @throws InputError ERR_INPUT where the keyset is full
 */
export async function withNewPrimary(
  before: TinkKeyset | undefined,
  algorithm: TinkAlgorithm,
  random: (bytes: number) => Promise<Uint8Array>,
): Promise<{ readonly primaryKeyId: number; readonly keys: readonly WritableKey[] }> {
  const kept = (before?.keys ?? []).map(writable);
  if (kept.length >= MAX_KEYSET_KEYS) {
    throw new InputError("ERR_INPUT", `the keyset has ${kept.length} keys: start a new one`);
  }
  const drawn = await random(KEY_BYTES);
  const key = copyOf(drawn);
  wipe(drawn);
  let keyId = 0;
  while (keyId === 0 || kept.some((one) => one.keyId === keyId)) keyId = readU32(await random(KEY_ID_BYTES), 0);
  return { primaryKeyId: keyId, keys: [...kept, { keyId, algorithm, key }] };
}

/** A key that we made, as all keys in a keyset of ours are. */
function writable({ keyId, enabled, prefix, material }: TinkKeyset["keys"][number]): WritableKey {
  if (enabled && prefix?.length === 5 && material !== undefined) return { keyId, ...material };
  throw new FormatError("ERR_FORMAT", "keyset: a key that this version cannot write");
}

/** Bound to its name. @returns a Tink EncryptedKeyset @throws what the keyring throws */
export async function sealKeyset(
  name: string,
  primaryKeyId: number,
  keys: readonly WritableKey[],
  { keyring, context, engine }: KeysetSealing<Keyring>,
): Promise<Bytes> {
  const plaintext = encodeKeyset(primaryKeyId, keys);
  try {
    const own = contextOf([
      [PURPOSE_CONTEXT_KEY, KEYSET_PURPOSE],
      [KEYSET_NAME_CONTEXT_KEY, name],
    ]);
    const message = await sealMessage(plaintext, { keyring, context }, engine, own);
    return encodeEncryptedKeyset(message, primaryKeyId, keys);
  } finally {
    wipe(plaintext);
  }
}

/**
 * @param name demanded where given
 * @returns the keys, which the caller wipes, and the name the keyset is bound to ("" for none)
 * @throws FormatError · DecryptError ERR_DECRYPT, ERR_CONTEXT_MISMATCH · KeyNotFoundError · what the keyring throws
 */
export async function openKeyset(
  sealed: Uint8Array,
  { keyring, context, engine }: KeysetSealing<Unwrapper>,
  name?: string,
): Promise<{ readonly name: string; readonly keyset: TinkKeyset }> {
  const options = { keyring, context };
  const opened = await openMessage(parseEncryptedKeyset(sealed), options, engine, KEYSET_PURPOSE);
  try {
    const found = opened.context[KEYSET_NAME_CONTEXT_KEY] ?? "";
    if (name !== undefined && name !== found) {
      throw new DecryptError("ERR_CONTEXT_MISMATCH", "the keyset is another one than the one asked for");
    }
    return { name: found, keyset: parseKeyset(opened.plaintext) };
  } finally {
    wipe(opened.plaintext);
  }
}
