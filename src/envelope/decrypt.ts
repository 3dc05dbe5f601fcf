/** Opens one message in memory. */

import { type Bytes, fromUtf8, overlap, unfilled, wipe } from "../bytes.js";
import type { Engine } from "../engine/port.js";
import { DecryptError, FormatError, InputError } from "../errors.js";
import type { EncryptionContext } from "../message/context.js";
import type { ParsedHeader } from "../message/header.js";
import { MessageParser } from "../message/parser.js";
import type { SuiteId } from "../message/suites.js";
import { defaultEngine } from "../pool/default.js";
import { type BodyPart, type OpeningPlan, partBytes, plaintextLimit, planOpening, startOpening } from "./opening.js";
import { checkMessage, type DecryptOptions } from "./options.js";

export interface DecryptResult {
  /** Fresh, or a subarray of `out`. */
  readonly plaintext: Bytes;
  /** Every pair bound to the message. */
  readonly context: EncryptionContext;
  readonly suite: SuiteId;
  /** Which key opened it. RSA and multi keyrings: this says nothing of the sender. */
  readonly keyId: string;
  readonly keyVersion?: number;
  /** The plaintext as strict UTF-8. @throws FormatError ERR_FORMAT */
  text(): string;
}

/**
 * Opens a message of version 1 or 2, any suite the commitment policy allows. Nothing is returned unless all of it,
 * signature included, is authentic.
 * @param message borrowed until the promise settles
 * @throws FormatError · DecryptError · KeyNotFoundError ERR_NO_KEYRING_MATCHED · LimitError · InputError · what the
 * keyring throws · the signal's reason
 */
export async function decrypt(message: Uint8Array, options: DecryptOptions): Promise<DecryptResult> {
  return openMessage(message, options, defaultEngine());
}

/** `decrypt` with a chosen engine, of a message for that purpose; undefined: data. */
export async function openMessage(
  message: Uint8Array,
  given: DecryptOptions,
  engine: Engine,
  purpose?: string,
): Promise<DecryptResult> {
  const plan = planOpening(given, [], purpose);
  const { header, parts, signature } = parseWhole(checkMessage(message), plan);
  if (header.suiteInfo.signature !== undefined && plan.options.signed === "refuse") {
    throw new DecryptError("ERR_SIGNED_STREAM", 'the message is signed, and signed: "refuse" was asked for');
  }
  const bytes = parts.reduce((sum, part) => sum + partBytes(part), 0);
  if (bytes > plan.maxPlaintextBytes) throw plaintextLimit(plan);
  checkOut(plan.options.out, message, bytes);
  const opening = await startOpening(plan, header, engine);
  const plaintext = plan.options.out?.subarray(0, bytes) ?? unfilled(bytes);
  try {
    let at = 0;
    for (const part of parts) {
      const end = at + partBytes(part);
      await opening.open(part, plaintext.subarray(at, end));
      at = end;
    }
    if (signature !== undefined) opening.verify(signature);
  } catch (error) {
    wipe(plaintext);
    throw error;
  } finally {
    opening.end();
  }
  const { context, keyId, keyVersion } = opening;
  return {
    plaintext: plaintext as Bytes,
    context,
    suite: header.suite,
    keyId,
    ...(keyVersion === undefined ? {} : { keyVersion }),
    text: () => fromUtf8(plaintext, "the plaintext"),
  };
}

/** Every part as views into the message: well-formed to its last byte before any key is asked for. */
function parseWhole(
  message: Uint8Array,
  plan: OpeningPlan,
): { header: ParsedHeader; parts: BodyPart[]; signature: Uint8Array | undefined } {
  const parser = new MessageParser({
    maxEncryptedDataKeys: plan.maxDataKeys,
    maxHeldBytes: Number.POSITIVE_INFINITY,
    batchBytes: Number.POSITIVE_INFINITY,
  });
  parser.push(message);
  parser.end();
  let header: ParsedHeader | undefined;
  let signature: Uint8Array | undefined;
  const parts: BodyPart[] = [];
  for (let part = parser.next(); part !== undefined; part = parser.next()) {
    if (part.kind === "header") header = part.header;
    else if (part.kind === "footer") signature = part.signature;
    else parts.push(part);
  }
  if (header === undefined) throw new FormatError("ERR_TRUNCATED", "the message is empty", { offset: 0 });
  return { header, parts, signature };
}

/** @throws InputError ERR_OUTPUT_TOO_SMALL (`neededBytes`), ERR_OVERLAP */
function checkOut(out: unknown, message: Uint8Array, bytes: number): void {
  if (out === undefined) return;
  if (!(out instanceof Uint8Array)) throw new InputError("ERR_INPUT", '"out" expected a Uint8Array');
  if (out.length < bytes) {
    const message = `"out" expected at least ${bytes} bytes, got ${out.length}`;
    throw new InputError("ERR_OUTPUT_TOO_SMALL", message, { neededBytes: bytes });
  }
  if (out.byteOffset !== message.byteOffset && overlap(out.subarray(0, bytes), message)) {
    throw new InputError("ERR_OVERLAP", '"out" overlaps the message without starting where it starts');
  }
}
