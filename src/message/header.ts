/** The message header: its values, and its wire form when written. Reading is in parser.ts. */

import { type Bytes, concat, u16, u32, utf8 } from "../bytes.js";
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

/** Adds an encrypted data key's wire form to `parts`. @throws InputError ERR_INPUT · LimitError ERR_LIMIT_HEADER */
function pushDataKey(parts: Uint8Array[], key: EncryptedDataKey): void {
  const { providerId, providerInfo, ciphertext } = key;
  if (typeof providerId !== "string" || !(providerInfo instanceof Uint8Array) || !(ciphertext instanceof Uint8Array)) {
    const expected = "expected a text as provider id, a Uint8Array as provider info and as ciphertext";
    throw new InputError("ERR_INPUT", `an encrypted data key: ${expected}`);
  }
  for (const field of [utf8(providerId, "an encrypted data key's provider id"), providerInfo, ciphertext]) {
    if (field.length > MAX_FIELD_BYTES) {
      throw new LimitError(
        "ERR_LIMIT_HEADER",
        `an encrypted data key's field of ${field.length} bytes exceeds ${MAX_FIELD_BYTES}`,
      );
    }
    parts.push(u16(field.length), field);
  }
}

/** Adds count and keys to `parts`. @throws InputError ERR_INPUT · LimitError ERR_LIMIT_DATA_KEYS, ERR_LIMIT_HEADER */
function pushDataKeys(parts: Uint8Array[], keys: readonly EncryptedDataKey[]): void {
  if (keys.length === 0) throw new InputError("ERR_INPUT", "a message needs at least one encrypted data key");
  if (keys.length > MAX_DATA_KEYS) {
    throw new LimitError(
      "ERR_LIMIT_DATA_KEYS",
      `${keys.length} encrypted data keys, the format allows ${MAX_DATA_KEYS}`,
    );
  }
  parts.push(u16(keys.length));
  for (const key of keys) pushDataKey(parts, key);
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

/** A framed version 2 header with room for its tag: all but the last 16 bytes is the body, the tag's associated data. */
export function encodeHeader(header: HeaderV2): Bytes {
  const { contextBytes } = header;
  const parts: Uint8Array[] = [Uint8Array.of(2), u16(header.suite), header.messageId];
  parts.push(u16(contextBytes.length), contextBytes);
  pushDataKeys(parts, header.encryptedDataKeys);
  parts.push(Uint8Array.of(CONTENT_FRAMED), u32(header.frameBytes), header.commitment, new Uint8Array(TAG_BYTES));
  return concat(...parts);
}

export const CONTENT_NON_FRAMED = 1;
export const CONTENT_FRAMED = 2;
