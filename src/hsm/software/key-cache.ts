/** Unwrapped CMKs and KEKs, the last few used, so that an operation on a data key does not unwrap the path each time. */

import { createHash, type KeyObject } from "node:crypto";
import { ascii, lp32, u32 } from "../../bytes.js";
import type { CmkLocation, KekPath, WrappedKey } from "../port.js";

const MAX_ENTRIES = 256;

/** Keys stay KeyObjects throughout: what is dropped here is wiped by OpenSSL when nobody uses it any more. */
export class KeyCache {
  readonly #keys = new Map<string, KeyObject>();

  /** What is under `name`, else what `make` gives, which is kept. */
  obtain(name: string, make: () => KeyObject): KeyObject {
    const found = this.#keys.get(name);
    const key = found ?? make();
    this.#keys.delete(name);
    this.#keys.set(name, key); // the most recent comes last
    if (this.#keys.size > MAX_ENTRIES) {
      for (const oldest of this.#keys.keys()) {
        this.#keys.delete(oldest);
        break;
      }
    }
    return key;
  }

  clear(): void {
    this.#keys.clear();
  }
}

/** SHA-256 over the whole path from the HMK down, every part length-prefixed: rung, residence, wrap format, blob. */
export function cmkName(cmk: CmkLocation): string {
  return digest("cmk", cmkParts(cmk));
}

/** As `cmkName`, and the KEK below it. */
export function kekName(path: KekPath): string {
  return digest("kek", [...cmkParts(path.cmk), ...wrappedParts(path.kek)]);
}

function cmkParts(cmk: CmkLocation): Uint8Array[] {
  if (cmk.residence === "resident") return [ascii("resident"), ascii(cmk.serial), cmk.objectId];
  return [ascii("wrapped"), u32(cmk.hmkVersion), ...wrappedParts(cmk)];
}

function wrappedParts(key: WrappedKey): Uint8Array[] {
  return [ascii(key.wrapFormat), key.blob];
}

function digest(rung: "cmk" | "kek", parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of [ascii("keyladder/key-cache/v1"), ascii(rung), ...parts]) hash.update(lp32(part));
  return hash.digest("hex");
}
