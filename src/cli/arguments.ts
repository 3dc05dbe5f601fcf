/** Command-line values as the library takes them. Every refusal is a usage error that repeats no secret. */

import { open } from "node:fs/promises";
import { InvalidArgumentError } from "commander";
import { ioError } from "../atomic-file.js";
import { type Duration, type EncryptionContext, type Keyring, rawAesKeyring } from "../index.js";
import { usageError } from "./exit-codes.js";

/** Collects a repeatable option. */
export function collect(value: string, earlier: readonly string[] | undefined): string[] {
  return [...(earlier ?? []), value];
}

/** Pairs K=V, split at the first '='; `flag` names the option in errors. Values are not repeated in errors. */
export function parsePairs(given: readonly string[] | undefined, flag: string): EncryptionContext {
  const pairs: Record<string, string> = Object.create(null);
  for (const text of given ?? []) {
    const at = text.indexOf("=");
    if (at < 1) throw usageError(`${flag} expected KEY=VALUE`, `${flag} tenant=acme`);
    const key = text.slice(0, at);
    if (key in pairs) throw usageError(`${flag} names "${key}" twice`);
    pairs[key] = text.slice(at + 1);
  }
  return pairs;
}

/** For commander: a duration such as 90d. */
export function parseDurationFlag(text: string): Duration {
  if (!/^[1-9][0-9]*(ms|s|m|h|d)$/.test(text)) {
    throw new InvalidArgumentError("Expected a number and a unit of ms, s, m, h or d, such as 90d.");
  }
  return text as Duration;
}

/** For commander: a file descriptor. */
export function parseDescriptor(text: string): number {
  if (!/^[0-9]{1,6}$/.test(text)) throw new InvalidArgumentError("Expected the number of an open file descriptor.");
  return Number(text);
}

const RAW_AES_FORM = "--raw-aes NAMESPACE/NAME=@FILE";

/** A raw AES keyring of NAMESPACE/NAME=@FILE: split at the first '/' and the last '=@'; FILE holds 16, 24 or 32 raw bytes. */
export async function rawAesOf(text: string): Promise<{ keyring: Keyring; name: string }> {
  const slash = text.indexOf("/");
  const at = text.lastIndexOf("=@");
  if (slash < 1 || at <= slash + 1 || at + 2 >= text.length) {
    throw usageError(
      `--raw-aes expected ${RAW_AES_FORM.slice(10)}`,
      "the key itself is never an argument: put it into a file",
    );
  }
  const namespace = text.slice(0, slash);
  const name = text.slice(slash + 1, at);
  const key = await readRawKey(text.slice(at + 2));
  try {
    return { keyring: rawAesKeyring({ namespace, name, key }), name: `${namespace}/${name}` };
  } finally {
    key.fill(0);
  }
}

/** Exactly 16, 24 or 32 raw bytes; hex and base64 text is refused with the way to decode it. The caller wipes. */
async function readRawKey(path: string): Promise<Uint8Array> {
  // Longer than any key written as text; a longer file is not a key at all.
  const buffer = new Uint8Array(256);
  try {
    const handle = await open(path, "r");
    let length: number;
    try {
      length = (await handle.read(buffer, 0, buffer.length, 0)).bytesRead;
    } finally {
      await handle.close();
    }
    refuseKeyText(path, buffer.subarray(0, length));
    if (length !== 16 && length !== 24 && length !== 32) {
      const found = length === buffer.length ? "256 or more" : String(length);
      throw usageError(
        `${path} expected exactly 16, 24 or 32 raw key bytes, got ${found}`,
        "head -c 32 /dev/urandom > FILE",
      );
    }
    return buffer.slice(0, length);
  } catch (error) {
    throw ioError(error, `read the key file ${path}`);
  } finally {
    buffer.fill(0);
  }
}

/** Looks at the bytes alone: a key must not become a string, which nothing can wipe. */
function refuseKeyText(path: string, bytes: Uint8Array): void {
  let end = bytes.length;
  while (end > 0 && isLineBreak(bytes[end - 1] as number)) end--;
  const text = bytes.subarray(0, end);
  if (text.length === 0) return;
  if (text.length % 2 === 0 && text.every(isHexDigit)) {
    throw usageError(`${path} holds hex text, not raw key bytes`, `xxd -r -p ${path} > KEY`);
  }
  if (text.every(isBase64Character)) {
    throw usageError(`${path} holds text (base64?), not raw key bytes`, `base64 -d ${path} > KEY`);
  }
}

function isLineBreak(byte: number): boolean {
  return byte === 0x0a || byte === 0x0d;
}

function isHexDigit(byte: number): boolean {
  const lower = byte | 0x20;
  return (byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x66);
}

/** Letters, digits, + / - _ and the padding; 2^-32 of random 16-byte keys look like that. */
function isBase64Character(byte: number): boolean {
  const lower = byte | 0x20;
  return (
    (byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x7a) || [0x2b, 0x2f, 0x2d, 0x5f, 0x3d].includes(byte)
  );
}
