/** node:crypto as its documentation shows it: one cipher object a call. */

import { createCipheriv, createDecipheriv, randomFillSync } from "node:crypto";
import { framesWireBytes, openFrames, sealFrames } from "../harness/frame-loop.mjs";
import { KEY, NONCE, noncesOf } from "../harness/input.mjs";
import { recordOpener, recordSealer } from "../harness/record-loop.mjs";

const TAG_BYTES = 16;
const NO_AAD = new Uint8Array(0);
export const version = `OpenSSL ${process.versions.openssl}`;

/** @param {Uint8Array} nonce @param {Uint8Array} aad @param {Uint8Array} src @returns {[Uint8Array, Uint8Array]} */
function seal(nonce, aad, src) {
  const cipher = createCipheriv("aes-256-gcm", KEY, nonce);
  if (aad.length > 0) cipher.setAAD(aad);
  const ciphertext = cipher.update(src);
  cipher.final();
  return [ciphertext, cipher.getAuthTag()];
}

/** @param {Uint8Array} nonce @param {Uint8Array} aad @param {Uint8Array} sealed ciphertext and tag */
function open(nonce, aad, sealed) {
  const tagAt = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv("aes-256-gcm", KEY, nonce, { authTagLength: TAG_BYTES });
  if (aad.length > 0) decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(tagAt));
  const plaintext = decipher.update(sealed.subarray(0, tagAt));
  decipher.final();
  return plaintext;
}

/** @param {Uint8Array} nonce @param {Uint8Array} aad @param {Uint8Array} src @param {Uint8Array} dst @param {number} at */
function sealInto(nonce, aad, src, dst, at) {
  const [ciphertext, tag] = seal(nonce, aad, src);
  dst.set(ciphertext, at);
  dst.set(tag, at + ciphertext.length);
}

/** @type {import("../harness/worker.mjs").Maker} */
function oneBuffer(_case, plaintext) {
  return {
    seal: () => seal(NONCE, NO_AAD, plaintext),
    open: (sealed) => open(NONCE, NO_AAD, sealed),
  };
}

/** @param {import("../harness/measure.mjs").Case} case_ @param {Uint8Array} plaintext @param {Uint8Array} [nonces] */
function recordLoop({ bytes, items = 1 }, plaintext, nonces = noncesOf(items)) {
  return {
    seal: recordSealer(plaintext, nonces, (nonce, src, dst, at) => sealInto(nonce, NO_AAD, src, dst, at)),
    open: recordOpener(bytes, items, (nonce, sealed, dst, at) => dst.set(open(nonce, NO_AAD, sealed), at)),
  };
}

/** @type {Record<string, import("../harness/worker.mjs").Maker>} */
export const subjects = {
  aead: oneBuffer,
  arena: oneBuffer,

  frames: ({ bytes }, plaintext) => {
    const wire = new Uint8Array(framesWireBytes(bytes));
    const opened = new Uint8Array(bytes);
    return {
      seal: () => sealFrames(plaintext, wire, sealInto),
      open: (sealed) =>
        openFrames(sealed, opened, (nonce, aad, frame, dst, at) => dst.set(open(nonce, aad, frame), at)),
    };
  },

  records: recordLoop,

  // The same with nonces drawn, in bulk, for each call.
  keyset: (case_, plaintext) => {
    const nonces = noncesOf(case_.items ?? 1);
    const { seal: sealAll, open: openAll } = recordLoop(case_, plaintext, nonces);
    const seal = () => {
      randomFillSync(nonces);
      return sealAll();
    };
    return { alone: true, seal, open: openAll };
  },
};
