/** WebCrypto, awaited call by call; the frames of a batch are asked for together, which lets libuv's threads share them. */

import { framesWireBytes, openFrames, sealFrames } from "../harness/frame-loop.mjs";
import { KEY, NONCE } from "../harness/input.mjs";

const { subtle } = globalThis.crypto;
export const version = `Node ${process.version}`;

/** @type {Promise<CryptoKey> | undefined} */
let imported;

/** @type {() => Promise<CryptoKey>} */
function key() {
  imported ??= subtle.importKey("raw", KEY, "AES-GCM", false, ["encrypt", "decrypt"]);
  return imported;
}

/** What is given here is never shared memory; the types cannot know. @param {Uint8Array} bytes */
const source = (bytes) => /** @type {Uint8Array<ArrayBuffer>} */ (bytes);

/** @type {Record<string, import("../harness/worker.mjs").Maker>} */
export const subjects = {
  aead: async (_case, plaintext) => {
    const gcmKey = await key();
    const algorithm = { name: "AES-GCM", iv: NONCE };
    return {
      seal: async () => new Uint8Array(await subtle.encrypt(algorithm, gcmKey, source(plaintext))),
      open: async (sealed) => new Uint8Array(await subtle.decrypt(algorithm, gcmKey, source(sealed))),
    };
  },

  frames: async ({ bytes }, plaintext) => {
    const gcmKey = await key();
    const wire = new Uint8Array(framesWireBytes(bytes));
    const opened = new Uint8Array(bytes);
    /** @type {Promise<void>[]} */
    let pending = [];
    /** @param {"encrypt" | "decrypt"} verb @returns {Parameters<typeof sealFrames>[2]} */
    const call = (verb) => (nonce, aad, src, dst, at) => {
      const algorithm = { name: "AES-GCM", iv: nonce.slice(), additionalData: aad.slice() };
      pending.push(subtle[verb](algorithm, gcmKey, source(src)).then((result) => dst.set(new Uint8Array(result), at)));
    };
    /** @param {() => Uint8Array} start */
    const settled = async (start) => {
      pending = [];
      const result = start();
      await Promise.all(pending);
      return result;
    };
    return {
      seal: () => settled(() => sealFrames(plaintext, wire, call("encrypt"))),
      open: (sealed) => settled(() => openFrames(sealed, opened, call("decrypt"))),
    };
  },
};
