/** Seals bytes or text into one message. */

import { type Bytes, concat, utf8 } from "../bytes.js";
import type { Engine } from "../engine/port.js";
import { defaultEngine } from "../engine/select.js";
import { InputError } from "../errors.js";
import { framesWireBytes, wholeBody } from "../message/frames.js";
import type { EncryptOptions } from "./options.js";
import { checkLength, planSealing, startSealing } from "./sealing.js";

/**
 * A fresh message in the AWS Encryption SDK's format, version 2 (suite 0x0478 unless named).
 * @param plaintext borrowed until the promise settles; text is sealed as UTF-8
 * @returns a fresh array: header, frames, and the signature of a signed suite
 * @throws InputError ERR_INPUT · LimitError ERR_LIMIT_PLAINTEXT, ERR_LIMIT_DATA_KEYS, ERR_LIMIT_HEADER · what the
 * keyring throws · the signal's reason
 */
export async function encrypt(plaintext: Uint8Array | string, options: EncryptOptions): Promise<Bytes> {
  return sealMessage(plaintext, options, defaultEngine());
}

/** `encrypt` with a chosen engine. */
export async function sealMessage(
  plaintext: Uint8Array | string,
  options: EncryptOptions,
  engine: Engine,
): Promise<Bytes> {
  const plan = planSealing(options);
  const src = plaintextBytesOf(plaintext);
  const bytes = src.length;
  const sealing = await startSealing(plan, bytes, engine);
  try {
    checkLength(src, bytes);
    const counts = wholeBody(bytes, sealing.frameBytes);
    const message = new Uint8Array(sealing.header.length + framesWireBytes(counts));
    message.set(sealing.header);
    await sealing.seal(src, message.subarray(sealing.header.length), 1, counts);
    const footer = sealing.footer();
    return footer.length === 0 ? message : concat(message, footer);
  } finally {
    sealing.end();
  }
}

function plaintextBytesOf(plaintext: unknown): Uint8Array {
  if (typeof plaintext === "string") return utf8(plaintext, '"plaintext"');
  if (plaintext instanceof Uint8Array) return plaintext;
  throw new InputError("ERR_INPUT", '"plaintext" expected a Uint8Array or a string');
}
