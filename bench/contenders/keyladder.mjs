import { cachingKeyring, decrypt, encrypt, rawAesKeyring } from "keyladder";
import { CONTEXT, KEY } from "../cases.mjs";

/** @param {{ key: Uint8Array, cached: boolean }} options */
export function contender({ key, cached }) {
  const raw = rawAesKeyring({ ...KEY, key });
  const keyring = cached ? cachingKeyring(raw, { maxAge: "10m" }) : raw;
  return {
    /** @param {Uint8Array} plaintext @returns {Promise<Uint8Array>} */
    encrypt: (plaintext) => encrypt(plaintext, { keyring, context: CONTEXT }),
    /** @param {Uint8Array} message @returns {Promise<Uint8Array>} */
    decrypt: async (message) => (await decrypt(message, { keyring })).plaintext,
  };
}
