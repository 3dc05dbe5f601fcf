/** @noble/ciphers: AES-256-GCM in JavaScript alone. */

import { gcm } from "@noble/ciphers/aes.js";
import { packageVersion } from "../harness/dependencies.mjs";
import { framesWireBytes, openFrames, sealFrames } from "../harness/frame-loop.mjs";
import { KEY, NONCE, noncesOf } from "../harness/input.mjs";
import { recordOpener, recordSealer } from "../harness/record-loop.mjs";

export const version = packageVersion("@noble/ciphers");

/** @type {Record<string, import("../harness/worker.mjs").Maker>} */
export const subjects = {
  aead: (_case, plaintext) => ({
    seal: () => gcm(KEY, NONCE).encrypt(plaintext),
    open: (sealed) => gcm(KEY, NONCE).decrypt(sealed),
  }),

  frames: ({ bytes }, plaintext) => {
    const wire = new Uint8Array(framesWireBytes(bytes));
    const opened = new Uint8Array(bytes);
    return {
      seal: () =>
        sealFrames(plaintext, wire, (nonce, aad, src, dst, at) => dst.set(gcm(KEY, nonce, aad).encrypt(src), at)),
      open: (sealed) =>
        openFrames(sealed, opened, (nonce, aad, src, dst, at) => dst.set(gcm(KEY, nonce, aad).decrypt(src), at)),
    };
  },

  records: ({ bytes, items = 1 }, plaintext) => ({
    seal: recordSealer(plaintext, noncesOf(items), (nonce, src, dst, at) => dst.set(gcm(KEY, nonce).encrypt(src), at)),
    open: recordOpener(bytes, items, (nonce, sealed, dst, at) => dst.set(gcm(KEY, nonce).decrypt(sealed), at)),
  }),
};
