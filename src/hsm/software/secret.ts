/** A passphrase as callers give it, and its bytes as the key derivation takes them. */

import { type Bytes, copyOf, utf8 } from "../../bytes.js";
import { InputError } from "../../errors.js";

/**
 * A passphrase: text (taken as UTF-8, never normalised), bytes, or a function that is asked for either each time the
 * token is opened. Bytes are borrowed for as long as the token may be opened; nothing here keeps a copy.
 */
export type Secret = string | Uint8Array | (() => string | Uint8Array | Promise<string | Uint8Array>);

/** @throws InputError ERR_INPUT unless `secret` is a non-empty text, non-empty bytes or a function */
export function checkSecret(secret: unknown, name: string): asserts secret is Secret {
  if (typeof secret === "function") return;
  checkValue(secret, name);
}

function checkValue(secret: unknown, name: string): asserts secret is string | Uint8Array {
  if (typeof secret !== "string" && !(secret instanceof Uint8Array)) {
    throw new InputError("ERR_INPUT", `"${name}" expected text, a Uint8Array or a function that gives one`);
  }
  if (secret.length === 0) throw new InputError("ERR_INPUT", `"${name}" is empty`);
  if (typeof secret === "string" && !secret.isWellFormed()) {
    throw new InputError("ERR_INPUT", `"${name}" holds a lone surrogate: it has no UTF-8 form`);
  }
}

/**
 * The bytes of a secret, asked for if it is a function. A fresh array: the caller wipes it.
 * @throws InputError ERR_INPUT where a function gives something else, or nothing · whatever the function throws
 */
export async function secretBytes(secret: Secret, name: string): Promise<Bytes> {
  const value: unknown = typeof secret === "function" ? await secret() : secret;
  checkValue(value, name);
  return typeof value === "string" ? utf8(value, `"${name}"`) : copyOf(value);
}
