/** The message header: its values, and its wire form when written. Reading is in parser.ts. */

import { type Bytes, utf8, writeU16, writeU32 } from "../bytes.js";
import { InputError, LimitError } from "../errors.js";
import type { EncryptionContext } from "./context.js";
import { MAX_DATA_KEYS, MAX_FIELD_BYTES, TAG_BYTES } from "./limits.js";
import type { Suite, SuiteId } from "./suites.js";

/** A data key wrapped by one master, as the message carries it. */
export interface EncryptedDataKey {
  /** Which kind of keyring wrapped it. */
  readonly providerId: string;
  /** Which key of that keyring. */
  readonly providerInfo: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** What a header says. Nothing in it is authenticated until the message key has verified its tag. */
export interface MessageHeader {
  readonly version: 1 | 2;
  readonly suite: SuiteId;
  /** 16 bytes in version 1, 32 in version 2. */
  readonly messageId: Bytes;
  /** The stored pairs; required pairs are not in the message. */
  readonly context: EncryptionContext;
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
  /** Plaintext bytes in each regular frame; 0 for a non-framed message. */
  readonly frameBytes: number;
  /** Bytes before the first frame: header body and authentication. */
  readonly headerBytes: number;
}

/** A header as parsed: the values, and the exact bytes that authenticate it. */
export interface ParsedHeader extends MessageHeader {
  readonly suiteInfo: Suite;
  /** Header body as on the wire: associated data of the header tag. */
  readonly body: Bytes;
  /** Header body and authentication as on the wire: what a signature covers first. */
  readonly wire: Bytes;
  /** The stored pairs as on the wire: sorted or not. */
  readonly contextBytes: Bytes;
  /** 12 bytes. Zero in version 2, a field in version 1. */
  readonly nonce: Bytes;
  readonly tag: Bytes;
  /** 32 bytes where the suite commits. */
  readonly commitment: Bytes | undefined;
}

/** The three fields of an encrypted data key, in wire order. @throws InputError ERR_INPUT · LimitError ERR_LIMIT_HEADER */
function dataKeyFields({ providerId, providerInfo, ciphertext }: EncryptedDataKey): readonly Uint8Array[] {
  if (typeof providerId !== "string" || !(providerInfo instanceof Uint8Array) || !(ciphertext instanceof Uint8Array)) {
    const expected = "expected a text as provider id, a Uint8Array as provider info and as ciphertext";
    throw new InputError("ERR_INPUT", `an encrypted data key: ${expected}`);
  }
  const fields = [utf8(providerId, "an encrypted data key's provider id"), providerInfo, ciphertext];
  for (const field of fields) {
    if (field.length > MAX_FIELD_BYTES) {
      throw new LimitError(
        "ERR_LIMIT_HEADER",
        `an encrypted data key's field of ${field.length} bytes exceeds ${MAX_FIELD_BYTES}`,
      );
    }
  }
  return fields;
}

/** @throws InputError ERR_INPUT · LimitError ERR_LIMIT_DATA_KEYS */
function checkCount(keys: readonly EncryptedDataKey[]): void {
  if (keys.length === 0) throw new InputError("ERR_INPUT", "a message needs at least one encrypted data key");
  if (keys.length > MAX_DATA_KEYS) {
    throw new LimitError(
      "ERR_LIMIT_DATA_KEYS",
      `${keys.length} encrypted data keys, the format allows ${MAX_DATA_KEYS}`,
    );
  }
}

/** Writes u16 length and bytes; returns where the next field begins. */
function writeField(out: Uint8Array, at: number, field: Uint8Array): number {
  writeU16(out, at, field.length);
  out.set(field, at + 2);
  return at + 2 + field.length;
}

/** What a version 2 header body is made of (format: "header body version 2.0"). */
export interface HeaderV2 {
  readonly suite: SuiteId;
  /** 32 random bytes. */
  readonly messageId: Uint8Array;
  /** The stored pairs, serialised. */
  readonly contextBytes: Uint8Array;
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
  /** 1 to 2^32 - 1. */
  readonly frameBytes: number;
  /** 32 bytes. */
  readonly commitment: Uint8Array;
}

/**
 * A framed version 2 header with room for its tag: all but the last 16 bytes is the body, the tag's associated data.
 * @throws InputError ERR_INPUT · LimitError ERR_LIMIT_DATA_KEYS, ERR_LIMIT_HEADER
 */
export function encodeHeader(header: HeaderV2): Bytes {
  const { contextBytes, messageId, commitment, encryptedDataKeys } = header;
  checkCount(encryptedDataKeys);
  const fields = encryptedDataKeys.flatMap(dataKeyFields);
  let bytes = 3 + messageId.length + 2 + contextBytes.length + 2 + 5 + commitment.length + TAG_BYTES;
  for (const field of fields) bytes += 2 + field.length;
  const out = new Uint8Array(bytes);
  out[0] = 2;
  writeU16(out, 1, header.suite);
  out.set(messageId, 3);
  let at = writeField(out, 3 + messageId.length, contextBytes);
  writeU16(out, at, encryptedDataKeys.length);
  at += 2;
  for (const field of fields) at = writeField(out, at, field);
  out[at] = CONTENT_FRAMED;
  writeU32(out, at + 1, header.frameBytes);
  out.set(commitment, at + 5);
  return out;
}

export const CONTENT_NON_FRAMED = 1;
export const CONTENT_FRAMED = 2;
