/** The native engine's calls for one buffer, which the port has no need of: straight from the addon. */

import { defaultEngine } from "../../dist/engine/select.js";
import { KEY, NONCE } from "../harness/input.mjs";

const TAG_BYTES = 16;
const NO_AAD = new Uint8Array(0);

/** The addon and a key in it, where the engine in use is the native one. */
async function nativeKey() {
  const { name, kernel } = defaultEngine();
  if (name !== "native") return undefined;
  const { checked, loadAddon } = await import("../../dist/engine/addon.js");
  const { addon, why } = loadAddon();
  if (addon === undefined) throw new Error(why);
  const number = addon.info().kernels.findIndex((verdict) => verdict.name === kernel);
  const raw = checked(addon, addon.keyImport(new Uint8Array(KEY)));
  return { addon, key: checked(addon, addon.gcmKey(raw, number)) };
}

/**
 * Outputs are kept from call to call.
 * @param {Uint8Array} plaintext
 * @returns {Promise<import("../harness/worker.mjs").Sealer | undefined>}
 */
export async function bufferSubject(plaintext) {
  const native = await nativeKey();
  if (native === undefined) return undefined;
  const { addon, key } = native;
  const sealed = new Uint8Array(plaintext.length + TAG_BYTES);
  const opened = new Uint8Array(plaintext.length);
  return {
    seal: () => {
      if (addon.seal(key, NONCE, NO_AAD, plaintext, sealed) !== 0) throw new Error("not sealed");
      return sealed;
    },
    open: (input) => {
      if (addon.open(key, NONCE, NO_AAD, input, opened) !== 1) throw new Error("not opened");
      return opened;
    },
  };
}

/**
 * Nonce, source and output in memory that is bound to the key once: a call looks nothing up.
 * @param {Uint8Array} plaintext
 * @returns {Promise<import("../harness/worker.mjs").Sealer | undefined>}
 */
export async function arenaSubject(plaintext) {
  const native = await nativeKey();
  if (native === undefined) return undefined;
  const { addon, key } = native;
  const { checked } = await import("../../dist/engine/addon.js");
  const bytes = plaintext.length;
  const [nonceAt, plainAt, sealedAt] = [24, 64, 64 + bytes + 64];
  const memory = new Uint8Array(new SharedArrayBuffer(sealedAt + bytes + TAG_BYTES));
  const numbers = new Uint32Array(memory.buffer, 0, 6); // nonceAt, aadAt, aadBytes, srcAt, bytes, dstAt
  numbers.set([nonceAt, 0, 0, plainAt, bytes, sealedAt]);
  const lane = checked(addon, addon.laneBind(key, memory));
  const sealed = memory.subarray(sealedAt);
  const opened = memory.subarray(plainAt, plainAt + bytes);
  memory.set(NONCE, nonceAt);
  memory.set(plaintext, plainAt);
  /** @type {Uint8Array | undefined} */
  let holds;
  return {
    seal: () => {
      numbers[3] = plainAt;
      numbers[5] = sealedAt;
      if (addon.laneSeal(lane) !== 0) throw new Error("not sealed");
      return sealed;
    },
    open: (input) => {
      if (holds !== input) memory.set(input, sealedAt);
      holds = input;
      numbers[3] = sealedAt;
      numbers[5] = plainAt;
      if (addon.laneOpen(lane) !== 1) throw new Error("not opened");
      return opened;
    },
  };
}
