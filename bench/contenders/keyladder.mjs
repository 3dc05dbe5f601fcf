import { cachingKeyring, decrypt, encrypt, rawAesKeyring } from "keyladder";
import { CONTEXT, KEY } from "../cases.mjs";

/** @param {{ key: Uint8Array, cached: boolean, outBytes: number }} options `outBytes`: room to reuse; 0 for none */
export function contender({ key, cached, outBytes }) {
  const raw = rawAesKeyring({ ...KEY, key });
  const keyring = cached ? cachingKeyring(raw, { maxAge: "10m" }) : raw;
  const out = outBytes === 0 ? {} : { out: new Uint8Array(outBytes) };
  return {
    /** @param {Uint8Array} plaintext @returns {Promise<Uint8Array>} */
    encrypt: (plaintext) => encrypt(plaintext, { keyring, context: CONTEXT, ...out }),
    /** @param {Uint8Array} message @returns {Promise<Uint8Array>} */
    decrypt: async (message) => (await decrypt(message, { keyring, ...out })).plaintext,
  };
}
