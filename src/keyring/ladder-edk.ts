/**
 * The ladder keyring's encrypted data key: bytes <-> values.
 *
 *     providerId   "keyladder"
 *     providerInfo 01 | storeId 16 | cmkId 16 | kekId 16 | kekVersion u32                  (53 bytes)
 *     ciphertext   01 (AES-256-GCM) | ivLen u8 (0C, or 10 where a token forces it) | IV | ct | tag 16
 *     AAD          L("keyladder/edk/v1") | suiteId u16 | lp16(providerInfo) | SHA-512(serialised full context)
 */

import { createHash } from "node:crypto";
import { type Bytes, compareBytes, concat, label, lp16, readU32, toHex, u16, u32 } from "../bytes.js";
import { EngineError } from "../errors.js";
import type { SealedDataKey } from "../hsm/port.js";
import { keyIdText } from "../kms/ids.js";
import type { EncryptedDataKey } from "../message/header.js";
import type { WrapRequest } from "./port.js";

export const LADDER_PROVIDER_ID = "keyladder";
const VERSION = 1;
const AES_256_GCM = 1;
const ID_BYTES = 16;
const INFO_BYTES = 1 + 3 * ID_BYTES + 4;
const IV_LENGTHS: readonly number[] = [12, 16];
const TAG_BYTES = 16;
const LABEL = label("keyladder/edk/v1");

/** What an encrypted data key of the ladder names. Untrusted until the KEK's tag verified. */
export interface LadderInfo {
  readonly cmkId: Uint8Array;
  readonly kekId: Uint8Array;
  readonly kekVersion: number;
}

export function encodeInfo(storeId: Uint8Array, { cmkId, kekId, kekVersion }: LadderInfo): Bytes {
  return concat(Uint8Array.of(VERSION), storeId, cmkId, kekId, u32(kekVersion));
}

/** Undefined for whatever is not exactly an encrypted data key of this store. */
export function parseInfo(storeId: Uint8Array, edk: EncryptedDataKey): LadderInfo | undefined {
  const found = splitInfo(edk);
  if (found === undefined || compareBytes(found.storeId, storeId) !== 0) return undefined;
  const { cmkId, kekId, kekVersion } = found;
  return { cmkId, kekId, kekVersion };
}

/** Of whichever store. */
function splitInfo({
  providerId,
  providerInfo,
}: EncryptedDataKey): (LadderInfo & { readonly storeId: Uint8Array }) | undefined {
  if (providerId !== LADDER_PROVIDER_ID || providerInfo.length !== INFO_BYTES || providerInfo[0] !== VERSION) {
    return undefined;
  }
  const part = (n: number) => providerInfo.slice(1 + n * ID_BYTES, 1 + (n + 1) * ID_BYTES);
  return { storeId: part(0), cmkId: part(1), kekId: part(2), kekVersion: readU32(providerInfo, 1 + 3 * ID_BYTES) };
}

/** Which key of a ladder wrapped a data key, as text. */
export interface LadderKeyName {
  /** 'cmk_…' */
  readonly keyId: string;
  /** Which of the key's KEKs, hex, and its version. */
  readonly kekId: string;
  readonly kekVersion: number;
}

/**
 * The key that an encrypted data key (of any ladder) says it is under; undefined for another kind of keyring's. Nothing
 * of it is authenticated: for people who look at a message with `inspect`.
 */
export function ladderKeyOf(edk: EncryptedDataKey): LadderKeyName | undefined {
  const found = splitInfo(edk);
  if (found === undefined) return undefined;
  return { keyId: keyIdText(found.cmkId), kekId: toHex(found.kekId), kekVersion: found.kekVersion };
}

export function encodeSealed({ iv, ciphertext }: SealedDataKey): Bytes {
  if (!IV_LENGTHS.includes(iv.length))
    throw new EngineError("ERR_INTERNAL", `the HSM chose an IV of ${iv.length} bytes`);
  return concat(Uint8Array.of(AES_256_GCM, iv.length), iv, ciphertext);
}

/** Undefined for whatever is not exactly a sealed data key of `dataKeyBytes`. */
export function parseSealed(ciphertext: Uint8Array, dataKeyBytes: number): SealedDataKey | undefined {
  const ivBytes = ciphertext[1] ?? 0;
  if (ciphertext[0] !== AES_256_GCM || !IV_LENGTHS.includes(ivBytes)) return undefined;
  if (ciphertext.length !== 2 + ivBytes + dataKeyBytes + TAG_BYTES) return undefined;
  return { iv: ciphertext.slice(2, 2 + ivBytes), ciphertext: ciphertext.slice(2 + ivBytes) };
}

/** Short whatever the context: some HSMs cap GCM buffers. */
export function edkAad(request: Pick<WrapRequest, "suite" | "contextBytes">, providerInfo: Uint8Array): Bytes {
  const digest = createHash("sha512").update(request.contextBytes).digest();
  return concat(LABEL, u16(request.suite), lp16(providerInfo), digest);
}
