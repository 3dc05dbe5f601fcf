/** What callers hand in, checked and copied once on entry, so that nothing changes between the check and the use. */

import { copyOf, toHex } from "../../bytes.js";
import { HsmError, InputError } from "../../errors.js";
import type { CmkLocation, KekPath, SealedDataKey, WrapFormat, WrappedKey, WrappedSigningKey } from "../port.js";
import { OBJECT_ID_BYTES } from "./token-contents.js";

const WRAP_FORMATS: readonly WrapFormat[] = ["rfc3394", "rfc5649"];

/** The one refusal for a path of keys that does not lead down to its end: says nothing about where it failed. */
export function refused(message: string, fields?: Readonly<Record<string, unknown>>): HsmError {
  return new HsmError("ERR_HSM_REFUSED", message, fields);
}

/** Bytes of any length, or of one of `lengths`; borrowed. @throws InputError ERR_INPUT */
export function checkBytes(value: unknown, name: string, ...lengths: readonly number[]): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new InputError("ERR_INPUT", `"${name}" expected a Uint8Array`);
  if (lengths.length > 0 && !lengths.includes(value.length)) {
    throw new InputError("ERR_INPUT", `"${name}" expected ${lengths.join(", ")} bytes, got ${value.length}`);
  }
  return value;
}

export function checkObjectId(value: unknown): string {
  return toHex(checkBytes(value, "objectId", OBJECT_ID_BYTES));
}

function checkVersion(value: unknown): number {
  if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > 0xffffffff) {
    throw new InputError("ERR_INPUT", '"hmkVersion" expected an integer from 1 to 4294967295');
  }
  return value as number;
}

function checkWrapped(key: WrappedKey): WrappedKey {
  const { wrapFormat, blob } = key;
  if (!WRAP_FORMATS.includes(wrapFormat)) {
    throw new InputError("ERR_INPUT", `"wrapFormat" expected one of ${WRAP_FORMATS.join(", ")}`);
  }
  return { wrapFormat, blob: copyOf(checkBytes(blob, "blob")) };
}

/** A copy. @throws InputError ERR_INPUT */
export function checkCmk(cmk: CmkLocation): CmkLocation {
  if (cmk?.residence === "wrapped") {
    return { residence: "wrapped", hmkVersion: checkVersion(cmk.hmkVersion), ...checkWrapped(cmk) };
  }
  if (cmk?.residence !== "resident" || typeof cmk.serial !== "string") {
    throw new InputError("ERR_INPUT", '"cmk" expected a wrapped or resident location');
  }
  checkObjectId(cmk.objectId);
  return { residence: "resident", serial: cmk.serial, objectId: copyOf(cmk.objectId) };
}

/** A copy. @throws InputError ERR_INPUT */
export function checkPath(path: KekPath): KekPath {
  return { cmk: checkCmk(path?.cmk), kek: checkWrapped(path.kek) };
}

/** A copy. @throws InputError ERR_INPUT */
export function checkSigningKey(key: WrappedSigningKey): WrappedSigningKey {
  return { hmkVersion: checkVersion(key?.hmkVersion), ...checkWrapped(key) };
}

/** A copy. Lengths are not judged here: a sealed data key of a wrong length is one that does not open. */
export function checkSealed(sealed: SealedDataKey): SealedDataKey {
  return {
    iv: copyOf(checkBytes(sealed?.iv, "iv")),
    ciphertext: copyOf(checkBytes(sealed.ciphertext, "ciphertext")),
  };
}
