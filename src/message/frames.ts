/** Frames: their wire layout, their associated data, and how a body is cut into them (format: "message body"). */

import { ascii, type Bytes, concat, writeU32, writeU64 } from "../bytes.js";
import { FormatError } from "../errors.js";
import {
  FINAL_FRAME_MARK,
  FINAL_FRAME_OVERHEAD_BYTES,
  NONCE_BYTES,
  REGULAR_FRAME_OVERHEAD_BYTES,
  TAG_BYTES,
} from "./limits.js";

/** How many frames of which kind. */
export interface FrameCounts {
  readonly frameBytes: number;
  readonly regularFrames: number;
  /** Plaintext bytes of the final frame; undefined where there is none. */
  readonly finalBytes: number | undefined;
}

export function framesPlaintextBytes(counts: FrameCounts): number {
  return counts.regularFrames * counts.frameBytes + (counts.finalBytes ?? 0);
}

export function framesWireBytes(counts: FrameCounts): number {
  const regular = counts.regularFrames * (counts.frameBytes + REGULAR_FRAME_OVERHEAD_BYTES);
  return counts.finalBytes === undefined ? regular : regular + counts.finalBytes + FINAL_FRAME_OVERHEAD_BYTES;
}

/** Cuts a whole body: the final frame is full where the length is a multiple of the frame's, empty for no plaintext. */
export function wholeBody(plaintextBytes: number, frameBytes: number): FrameCounts & { readonly finalBytes: number } {
  const regularFrames = plaintextBytes === 0 ? 0 : Math.ceil(plaintextBytes / frameBytes) - 1;
  return { frameBytes, regularFrames, finalBytes: plaintextBytes - regularFrames * frameBytes };
}

/** Where the parts of one frame stand, counted from the start of the frame. */
export interface FrameLayout {
  readonly nonceAt: number;
  readonly ciphertextAt: number;
  readonly plaintextBytes: number;
  readonly wireBytes: number;
}

export function regularFrame(frameBytes: number): FrameLayout {
  const ciphertextAt = 4 + NONCE_BYTES;
  return { nonceAt: 4, ciphertextAt, plaintextBytes: frameBytes, wireBytes: frameBytes + REGULAR_FRAME_OVERHEAD_BYTES };
}

export function finalFrame(plaintextBytes: number): FrameLayout {
  const ciphertextAt = 8 + NONCE_BYTES + 4;
  return { nonceAt: 8, ciphertextAt, plaintextBytes, wireBytes: plaintextBytes + FINAL_FRAME_OVERHEAD_BYTES };
}

/** Writes what stands before a frame's ciphertext: mark, sequence number, nonce (the number, left-padded), length. */
export function writeFramePrefix(
  dst: Uint8Array,
  at: number,
  sequence: number,
  final: boolean,
  layout: FrameLayout,
): void {
  if (final) {
    writeU32(dst, at, FINAL_FRAME_MARK);
    writeU32(dst, at + 4, sequence);
    writeU32(dst, at + 8 + NONCE_BYTES, layout.plaintextBytes);
  } else {
    writeU32(dst, at, sequence);
  }
  dst.fill(0, at + layout.nonceAt, at + layout.nonceAt + 8);
  writeU32(dst, at + layout.nonceAt + 8, sequence);
}

export type BodyKind = "regular" | "final" | "single";

const KIND_TEXT: Readonly<Record<BodyKind, Bytes>> = {
  regular: ascii("AWSKMSEncryptionClient Frame"),
  final: ascii("AWSKMSEncryptionClient Final Frame"),
  single: ascii("AWSKMSEncryptionClient Single Block"),
};

/**
 * Associated data of a frame or a non-framed body: message id (16 or 32 bytes), the kind's text, sequence number u32,
 * plaintext length u64. One buffer for all frames of a kind: `setSequence` before each use.
 */
export interface BodyAad {
  readonly bytes: Bytes;
  setSequence(sequence: number): void;
}

export function bodyAad(messageId: Uint8Array, kind: BodyKind, plaintextBytes: number): BodyAad {
  const bytes = concat(messageId, KIND_TEXT[kind], new Uint8Array(12));
  const at = bytes.length - 12;
  writeU64(bytes, at + 4, plaintextBytes);
  return { bytes, setSequence: (sequence) => writeU32(bytes, at, sequence) };
}

/** Bytes of a final frame before its ciphertext. */
export const FINAL_FRAME_PREFIX_BYTES = FINAL_FRAME_OVERHEAD_BYTES - TAG_BYTES;

/** Checks a frame's sequence number against the one that must come. @throws FormatError ERR_FORMAT */
export function checkSequence(found: number, expected: number, offset: number): void {
  if (found !== expected) {
    throw new FormatError("ERR_FORMAT", `frame ${found} where frame ${expected} must come`, { offset });
  }
}

/** A signed message's footer: u16 length, then the DER signature. */
export function footer(signature: Uint8Array): Bytes {
  return concat(Uint8Array.of(signature.length >>> 8, signature.length), signature);
}
