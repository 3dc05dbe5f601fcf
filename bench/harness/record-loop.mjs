/** Records sealed one by one, each `prefix | nonce | ciphertext | tag` (the Tink wire format), back to back. */

/** Tink: version 1 and the id of the key. */
export const RECORD_PREFIX = Uint8Array.of(1, 0xbe, 0x7c, 0x4a, 0x01);
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const RECORD_OVERHEAD = RECORD_PREFIX.length + NONCE_BYTES + TAG_BYTES;

/** Where each of `count` values of `bytes` begins. @param {number} count @param {number} bytes */
export function offsetsOf(count, bytes) {
  return Uint32Array.from({ length: count + 1 }, (_, i) => i * bytes);
}

/**
 * @param {Uint8Array} plaintext cut into equal records, as many as there are nonces
 * @param {Uint8Array} nonces
 * @param {(nonce: Uint8Array, src: Uint8Array, dst: Uint8Array, at: number) => void} sealOne writes ciphertext and tag at `at`
 */
export function recordSealer(plaintext, nonces, sealOne) {
  const count = nonces.length / NONCE_BYTES;
  const recordBytes = plaintext.length / count;
  const dst = new Uint8Array(plaintext.length + count * RECORD_OVERHEAD);
  return () => {
    for (let i = 0, at = 0; i < count; i++, at += recordBytes + RECORD_OVERHEAD) {
      const nonce = nonces.subarray(i * NONCE_BYTES, (i + 1) * NONCE_BYTES);
      dst.set(RECORD_PREFIX, at);
      dst.set(nonce, at + RECORD_PREFIX.length);
      const src = plaintext.subarray(i * recordBytes, (i + 1) * recordBytes);
      sealOne(nonce, src, dst, at + RECORD_PREFIX.length + NONCE_BYTES);
    }
    return dst;
  };
}

/**
 * @param {number} plaintextBytes of all @param {number} count
 * @param {(nonce: Uint8Array, sealed: Uint8Array, dst: Uint8Array, at: number) => void} openOne throws where the tag does not verify
 * @returns {(sealed: Uint8Array) => Uint8Array}
 */
export function recordOpener(plaintextBytes, count, openOne) {
  const recordBytes = plaintextBytes / count;
  const dst = new Uint8Array(plaintextBytes);
  return (sealed) => {
    for (let i = 0, at = 0; i < count; i++, at += recordBytes + RECORD_OVERHEAD) {
      const nonceAt = at + RECORD_PREFIX.length;
      const nonce = sealed.subarray(nonceAt, nonceAt + NONCE_BYTES);
      const end = at + recordBytes + RECORD_OVERHEAD;
      openOne(nonce, sealed.subarray(nonceAt + NONCE_BYTES, end), dst, i * recordBytes);
    }
    return dst;
  };
}
