/** Seals bytes or text into one message. */

import { type Bytes, copyOf, overlap, unfilled, utf8, wipe } from "../bytes.js";
import type { Engine } from "../engine/port.js";
import { InputError } from "../errors.js";
import type { EncryptionContext } from "../message/context.js";
import { framesWireBytes, wholeBody } from "../message/frames.js";
import { MAX_FOOTER_BYTES } from "../message/limits.js";
import { defaultEngine } from "../pool/default.js";
import type { EncryptOptions } from "./options.js";
import { checkLength, planSealing, startSealing } from "./sealing.js";

/**
 * A fresh message in the AWS Encryption SDK's format, version 2 (suite 0x0478 unless named).
 * @param plaintext borrowed until the promise settles; text is sealed as UTF-8
 * @returns a fresh array, or a subarray of `out`: header, frames, and the signature of a signed suite
 * @throws InputError ERR_INPUT, ERR_OUTPUT_TOO_SMALL, ERR_OVERLAP · LimitError ERR_LIMIT_PLAINTEXT, ERR_LIMIT_DATA_KEYS, ERR_LIMIT_HEADER · what the
 * keyring throws · the signal's reason
 */
export async function encrypt(plaintext: Uint8Array | string, options: EncryptOptions): Promise<Bytes> {
  return sealMessage(plaintext, options, defaultEngine());
}

/** `encrypt` with a chosen engine, and pairs of our own in the context. */
export async function sealMessage(
  plaintext: Uint8Array | string,
  options: EncryptOptions,
  engine: Engine,
  own?: EncryptionContext,
): Promise<Bytes> {
  const plan = planSealing(options, [], own);
  const src = plaintextBytesOf(plaintext);
  const bytes = src.length;
  const sealing = await startSealing(plan, bytes, engine);
  try {
    checkLength(src, bytes);
    const counts = wholeBody(bytes, sealing.frameBytes);
    const unsignedBytes = sealing.header.length + framesWireBytes(counts);
    const footerBytes = plan.suite.signature === undefined ? 0 : MAX_FOOTER_BYTES;
    const message = messageBuffer(plan.options.out, src, unsignedBytes + footerBytes);
    try {
      message.set(sealing.header);
      const pending = sealing.seal(src, message.subarray(sealing.header.length, unsignedBytes), 1, counts);
      if (pending !== undefined) await pending;
      const footer = sealing.footer();
      if (footerBytes === 0) return message;
      message.set(footer, unsignedBytes);
      const whole = message.subarray(0, unsignedBytes + footer.length);
      return plan.options.out === undefined ? copyOf(whole) : whole;
    } catch (error) {
      wipe(message);
      throw error;
    }
  } finally {
    sealing.end();
  }
}

/** Fresh, or the start of the caller's. @throws InputError ERR_OUTPUT_TOO_SMALL (`neededBytes`), ERR_OVERLAP */
function messageBuffer(out: unknown, plaintext: Uint8Array, bytes: number): Bytes {
  if (out === undefined) return unfilled(bytes);
  if (!(out instanceof Uint8Array)) throw new InputError("ERR_INPUT", '"out" expected a Uint8Array');
  if (out.length < bytes) {
    const message = `"out" expected at least ${bytes} bytes, got ${out.length}`;
    throw new InputError("ERR_OUTPUT_TOO_SMALL", message, { neededBytes: bytes });
  }
  if (overlap(out.subarray(0, bytes), plaintext)) {
    throw new InputError("ERR_OVERLAP", '"out" overlaps the plaintext');
  }
  return out.subarray(0, bytes) as Bytes;
}

function plaintextBytesOf(plaintext: unknown): Uint8Array {
  if (typeof plaintext === "string") return utf8(plaintext, '"plaintext"');
  if (plaintext instanceof Uint8Array) return plaintext;
  throw new InputError("ERR_INPUT", '"plaintext" expected a Uint8Array or a string');
}
