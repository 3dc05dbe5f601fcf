/** What a message says of itself, without any key. */

import type { MessageHeader, ParsedHeader } from "../message/header.js";
import { MAX_DATA_KEYS } from "../message/limits.js";
import { parseHeaderOf } from "../message/parser.js";
import { checkMessage } from "./options.js";

/**
 * Reads a message's header. Nothing of it is authenticated: anybody can have written it.
 * @param message a whole message or as much of its start as holds the header; not kept
 * @throws FormatError ERR_TRUNCATED, ERR_FORMAT, ERR_LOOKS_LIKE_BASE64, ERR_UNSUPPORTED_VERSION
 */
export function inspect(message: Uint8Array): MessageHeader & { readonly authenticated: false } {
  return { ...publicHeader(parseHeaderOf(checkMessage(message), MAX_DATA_KEYS)), authenticated: false };
}

/** The public part of a parsed header. */
export function publicHeader(header: ParsedHeader): MessageHeader {
  const { version, suite, messageId, context, encryptedDataKeys, frameBytes, headerBytes } = header;
  return { version, suite, messageId, context, encryptedDataKeys, frameBytes, headerBytes };
}
