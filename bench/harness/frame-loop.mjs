/** The frames of a message body sealed one by one: what anyone does who has one AEAD call at a time. */

import { MESSAGE_ID, NONCE } from "./input.mjs";

export const FRAME_BYTES = 4096;
const PREFIX_BYTES = 4 + 12;
const TAG_BYTES = 16;
const WIRE_BYTES = PREFIX_BYTES + FRAME_BYTES + TAG_BYTES;

/** Suite 0x0078: the data key itself seals the frames, so that every contender can be given it. */
export const FRAMES_SUITE = 0x0078;

/** @param {number} bytes a multiple of FRAME_BYTES: regular frames only */
export const framesWireBytes = (bytes) => (bytes / FRAME_BYTES) * WIRE_BYTES;

/** The associated data of one frame, and its nonce; both reused from frame to frame. */
function frameFields() {
  const text = Buffer.from("AWSKMSEncryptionClient Frame");
  const aad = new Uint8Array(Buffer.concat([MESSAGE_ID, text, new Uint8Array(12)]));
  const aadView = new DataView(aad.buffer);
  aadView.setUint32(aad.length - 4, FRAME_BYTES);
  const nonce = new Uint8Array(NONCE.length);
  const nonceView = new DataView(nonce.buffer);
  return {
    aad,
    nonce,
    /** @param {number} sequence */
    setSequence(sequence) {
      aadView.setUint32(aad.length - 12, sequence);
      nonceView.setUint32(8, sequence);
    },
  };
}

/**
 * @param {Uint8Array} plaintext
 * @param {Uint8Array} dst
 * @param {(nonce: Uint8Array, aad: Uint8Array, src: Uint8Array, dst: Uint8Array, at: number) => void} sealOne writes
 *   ciphertext and tag at `at`
 */
export function sealFrames(plaintext, dst, sealOne) {
  const { aad, nonce, setSequence } = frameFields();
  const view = new DataView(dst.buffer, dst.byteOffset);
  for (let from = 0, at = 0, sequence = 1; from < plaintext.length; from += FRAME_BYTES, at += WIRE_BYTES, sequence++) {
    setSequence(sequence);
    view.setUint32(at, sequence);
    dst.set(nonce, at + 4);
    sealOne(nonce, aad, plaintext.subarray(from, from + FRAME_BYTES), dst, at + PREFIX_BYTES);
  }
  return dst;
}

/**
 * @param {Uint8Array} wire
 * @param {Uint8Array} dst
 * @param {(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array, dst: Uint8Array, at: number) => void} openOne throws
 *   where the tag does not verify; `sealed` is ciphertext and tag
 */
export function openFrames(wire, dst, openOne) {
  const { aad, nonce, setSequence } = frameFields();
  for (let from = 0, at = 0, sequence = 1; from < wire.length; from += WIRE_BYTES, at += FRAME_BYTES, sequence++) {
    setSequence(sequence);
    openOne(nonce, aad, wire.subarray(from + PREFIX_BYTES, from + WIRE_BYTES), dst, at);
  }
  return dst;
}
