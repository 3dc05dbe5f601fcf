/** libsodium compiled to WebAssembly. It has no AES-GCM there, so this is ChaCha20-Poly1305: what one would take instead. */

import sodium from "libsodium-wrappers";
import { KEY, NONCE } from "../harness/input.mjs";

await sodium.ready;
export const version = `${sodium.SODIUM_VERSION_STRING}, WebAssembly, ChaCha20-Poly1305`;

/** @type {Record<string, import("../harness/worker.mjs").Maker>} */
export const subjects = {
  aead: (_case, plaintext) => ({
    alone: true,
    seal: () => sodium.crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, null, null, NONCE, KEY),
    open: (sealed) => sodium.crypto_aead_chacha20poly1305_ietf_decrypt(null, sealed, null, NONCE, KEY),
  }),
};
