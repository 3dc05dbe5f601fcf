/** How a message comes to be: materials, header, frames, footer. Shared by the verbs that write messages. */

import { type Bytes, concat, EMPTY, type TakeArray, toBase64, unfilled } from "../bytes.js";
import { DataKey } from "../engine/data-key.js";
import type { Engine, MessageKey } from "../engine/port.js";
import { type MessageSigner, messageSigner, randomId } from "../engine/primitives.js";
import { InputError, LimitError } from "../errors.js";
import type { GeneratedDataKey } from "../keyring/port.js";
import {
  contextOf,
  type EncryptionContext,
  mergeContexts,
  NO_PAIRS,
  readContext,
  readRequired,
  serializeContext,
  splitRequired,
} from "../message/context.js";
import { type FrameCounts, footer, framesWireBytes } from "../message/frames.js";
import { encodeHeader } from "../message/header.js";
import { MAX_FRAMES, MESSAGE_ID_BYTES, NONCE_BYTES, PUBLIC_KEY_CONTEXT_KEY, TAG_BYTES } from "../message/limits.js";
import { answerOf, disposeAnswer } from "./answer.js";
import { endWith } from "./forgotten.js";
import { checkEncryptOptions, checkOptions, ENCRYPT_OPTIONS, type EncryptOptions, wholeNumber } from "./options.js";

/** The header nonce of version 2 (format: "header authentication version 2.0"); frames use 1 and up. */
const HEADER_NONCE = new Uint8Array(NONCE_BYTES);

/** Options as they were when the call was made: nothing the caller changes later has an effect (ladder rule 3). */
export interface SealingPlan {
  readonly options: EncryptOptions;
  readonly suite: ReturnType<typeof checkEncryptOptions>["suite"];
  readonly frameBytes: number;
  readonly maxDataKeys: number;
  readonly context: EncryptionContext;
  readonly stored: EncryptionContext;
  readonly required: EncryptionContext;
  /** The most plaintext bytes that may follow. */
  readonly maxPlaintextBytes: number;
}

/**
 * Checks and freezes the options, synchronously.
 * @param own pairs with our prefix, which no caller can give
 * @throws InputError, LimitError, DecryptError ERR_COMMITMENT_POLICY
 */
export function planSealing(
  given: EncryptOptions,
  further: readonly string[] = [],
  own: EncryptionContext = NO_PAIRS,
): SealingPlan {
  checkOptions(given, ENCRYPT_OPTIONS, further);
  const options = { ...given };
  const { suite, frameBytes, maxDataKeys } = checkEncryptOptions(options);
  const context = mergeContexts(readContext(options.context), own);
  const { stored, required } = splitRequired(context, readRequired(options.requiredContext, context));
  const most = Math.min(frameBytes * MAX_FRAMES, Number.MAX_SAFE_INTEGER);
  const maxPlaintextBytes = wholeNumber(options.plaintextBytes, "plaintextBytes", 0, most, most);
  return { options, suite, frameBytes, maxDataKeys, context, stored, required, maxPlaintextBytes };
}

/** A message that has its header and its key, and takes frames. `end` exactly once, on every path. */
export interface Sealing {
  /** Header body and tag. */
  readonly header: Bytes;
  readonly frameBytes: number;
  readonly keyId: string;
  readonly keyVersion?: number;
  readonly context: EncryptionContext;
  /** Seals frames into `dst`, which is exactly their wire length. `firstSequence` counts from 1. */
  seal(src: Uint8Array, dst: Uint8Array, firstSequence: number, counts: FrameCounts): Promise<void> | void;
  /** The footer over all that was sealed, in order; empty for unsigned suites. */
  footer(): Bytes;
  /** Lets go of the keys. */
  end(): void;
}

/** @param plaintextBytes where known ahead @throws what the keyring throws · LimitError · InputError */
export async function startSealing(
  plan: SealingPlan,
  plaintextBytes: number | undefined,
  engine: Engine,
): Promise<Sealing> {
  const { suite, frameBytes, options, context } = plan;
  if (plaintextBytes !== undefined) checkPlaintextBytes(plan, plaintextBytes);
  options.signal?.throwIfAborted();
  const signer = suite.signature && messageSigner(suite.signature);
  const signed = signer ? contextOf([[PUBLIC_KEY_CONTEXT_KEY, toBase64(signer.publicKey)]]) : NO_PAIRS;
  const full = mergeContexts(context, signed);
  const contextBytes = serializeContext(full);
  const asked = options.keyring.generateDataKey({
    suite: suite.id,
    dataKeyBytes: suite.dataKeyBytes,
    context: full,
    contextBytes,
    ...(plaintextBytes === undefined ? {} : { plaintextBytes }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const generated = await answerOf(asked, options.signal);
  checkGenerated(generated, plan);
  try {
    const messageId = randomId(MESSAGE_ID_BYTES[2]);
    const made = engine.messageKey(generated.dataKey, suite, messageId);
    const key = made instanceof Promise ? await made : made;
    try {
      const noRequired = plan.stored === context;
      const header = encodeHeader({
        suite: suite.id,
        messageId,
        contextBytes: noRequired ? contextBytes : serializeContext(mergeContexts(plan.stored, signed)),
        encryptedDataKeys: generated.encryptedDataKeys,
        frameBytes,
        commitment: key.commitment ?? EMPTY,
      });
      const body = header.subarray(0, header.length - TAG_BYTES);
      const tag = key.sealHeader(HEADER_NONCE, noRequired ? body : concat(body, serializeContext(plan.required)));
      header.set(tag instanceof Promise ? await tag : tag, body.length);
      signer?.update(header);
      return sealing(plan, header, messageId, key, signer, generated);
    } catch (error) {
      key.wipe();
      throw error;
    }
  } finally {
    generated.dataKey[Symbol.dispose]();
  }
}

function sealing(
  { frameBytes, context, options }: SealingPlan,
  header: Bytes,
  messageId: Bytes,
  key: MessageKey,
  signer: MessageSigner | undefined,
  generated: GeneratedDataKey,
): Sealing {
  const { signal } = options;
  return {
    header,
    frameBytes,
    keyId: generated.keyId,
    ...(generated.keyVersion === undefined ? {} : { keyVersion: generated.keyVersion }),
    context,
    seal(src, dst, firstSequence, { frameBytes: bytes, regularFrames, finalBytes }) {
      // Written out: to spread two objects costs a small message as much as to derive its key.
      const pending = key.sealFrames({
        messageId,
        frameBytes: bytes,
        firstSequence,
        regularFrames,
        finalBytes,
        src,
        dst,
        signal,
      });
      if (pending instanceof Promise) return pending.then(() => signer?.update(dst));
      return signer?.update(dst);
    },
    footer: () => (signer === undefined ? EMPTY : footer(signer.sign())),
    end: () => key.wipe(),
  };
}

/** What a keyring hands back is checked: anybody can write one. */
function checkGenerated(generated: GeneratedDataKey, { suite, maxDataKeys }: SealingPlan): void {
  if (!(generated?.dataKey instanceof DataKey) || !Array.isArray(generated.encryptedDataKeys)) {
    disposeAnswer(generated);
    throw new InputError("ERR_INPUT", "the keyring did not return { dataKey, encryptedDataKeys, keyId }");
  }
  try {
    if (generated.dataKey.byteLength !== suite.dataKeyBytes) {
      throw new InputError("ERR_INPUT", `the keyring returned a data key of ${generated.dataKey.byteLength} bytes`);
    }
    const count = generated.encryptedDataKeys.length;
    if (count > maxDataKeys) {
      throw new LimitError("ERR_LIMIT_DATA_KEYS", `${count} encrypted data keys, the limit is ${maxDataKeys}`);
    }
  } catch (error) {
    generated.dataKey[Symbol.dispose]();
    throw error;
  }
}

/** @throws LimitError ERR_LIMIT_PLAINTEXT */
export function checkPlaintextBytes(plan: SealingPlan, plaintextBytes: number): void {
  if (plaintextBytes > plan.maxPlaintextBytes) {
    throw new LimitError(
      "ERR_LIMIT_PLAINTEXT",
      `the plaintext exceeds the ${plan.maxPlaintextBytes} bytes it was limited to`,
    );
  }
}

/**
 * Borrowed memory that grew, shrank or was transferred away while the keyring was asked is not what was checked.
 * @throws InputError ERR_INPUT
 */
export function checkLength(plaintext: Uint8Array, bytes: number): void {
  if (plaintext.length !== bytes) throw new InputError("ERR_INPUT", '"plaintext" changed its length during the call');
}

/** Plaintext comes in pieces of any size, whole frames go out. One frame is held back: it may be the final one. */
export class FrameSealer {
  readonly #plan: SealingPlan;
  readonly #engine: Engine;
  readonly #expectedBytes: number | undefined;
  readonly #take: TakeArray;
  #sealing: Sealing | undefined;
  #held: Uint8Array = new Uint8Array(0);
  #heldBytes = 0;
  #sequence = 1;
  #plaintextBytes = 0;
  #wiped = false;

  /**
   * @param expectedBytes where the whole length is known ahead
   * @param take where sealed frames come to stand
   */
  constructor(plan: SealingPlan, engine: Engine, expectedBytes?: number, take: TakeArray = unfilled) {
    this.#plan = plan;
    this.#engine = engine;
    this.#expectedBytes = expectedBytes;
    this.#take = take;
  }

  get plaintextBytes(): number {
    return this.#plaintextBytes;
  }

  /** Which key the message is under, once it has begun. */
  get sealedUnder(): Pick<Sealing, "keyId" | "keyVersion"> {
    if (this.#sealing === undefined) throw new InputError("ERR_CLOSED", "the message has not begun");
    return this.#sealing;
  }

  /** What `chunk` completes, in order. `chunk` is borrowed until this settles. */
  async update(chunk: Uint8Array): Promise<Bytes[]> {
    const out: Bytes[] = [];
    const bytes = chunk.length;
    const sealing = await this.#start(out);
    checkLength(chunk, bytes);
    const { frameBytes } = sealing;
    this.#plaintextBytes += bytes;
    checkPlaintextBytes(this.#plan, this.#plaintextBytes);
    let frames = Math.ceil((this.#heldBytes + bytes) / frameBytes) - 1;
    if (frames <= 0) {
      this.#hold(chunk, frameBytes);
      return out;
    }
    const sealed = this.#take(framesWireBytes(regular(frames, frameBytes)));
    const firstBytes = framesWireBytes(regular(1, frameBytes));
    let [at, sealedAt] = [0, 0];
    if (this.#heldBytes > 0) {
      at = frameBytes - this.#heldBytes;
      this.#hold(chunk.subarray(0, at), frameBytes);
      await this.#seal(
        sealing,
        this.#held.subarray(0, frameBytes),
        sealed.subarray(0, firstBytes),
        regular(1, frameBytes),
      );
      this.#heldBytes = 0;
      sealedAt = firstBytes;
      frames--;
    }
    const end = at + frames * frameBytes;
    if (frames > 0) {
      await this.#seal(sealing, chunk.subarray(at, end), sealed.subarray(sealedAt), regular(frames, frameBytes));
    }
    this.#hold(chunk.subarray(end), frameBytes);
    out.push(sealed);
    return out;
  }

  /** The final frame and the footer. */
  async final(): Promise<Bytes[]> {
    const out: Bytes[] = [];
    const sealing = await this.#start(out);
    const counts = { frameBytes: sealing.frameBytes, regularFrames: 0, finalBytes: this.#heldBytes };
    const sealed = this.#take(framesWireBytes(counts));
    await this.#seal(sealing, this.#held.subarray(0, this.#heldBytes), sealed, counts);
    out.push(sealed);
    const end = sealing.footer();
    if (end.length > 0) out.push(end);
    this.wipe();
    return out;
  }

  /** Lets go of keys and held plaintext. Idempotent. */
  wipe(): void {
    this.#wiped = true;
    this.#sealing?.end();
    this.#held.fill(0);
    this.#heldBytes = 0;
  }

  async #start(out: Bytes[]): Promise<Sealing> {
    this.#plan.options.signal?.throwIfAborted();
    if (this.#sealing === undefined) {
      this.#sealing = await startSealing(this.#plan, this.#expectedBytes, this.#engine);
      endWith(this, this.#sealing);
      if (this.#wiped) this.#sealing.end(); // cancelled while the keyring was asked
      out.push(this.#sealing.header);
    }
    return this.#sealing;
  }

  async #seal(sealing: Sealing, src: Uint8Array, dst: Uint8Array, counts: FrameCounts): Promise<void> {
    const pending = sealing.seal(src, dst, this.#sequence, counts);
    if (pending !== undefined) await pending;
    this.#sequence += counts.regularFrames;
  }

  /** Keeps `bytes` behind what is held, at most one frame in all; memory follows the bytes, not the frame length. */
  #hold(bytes: Uint8Array, frameBytes: number): void {
    const needed = this.#heldBytes + bytes.length;
    if (needed > this.#held.length) {
      const grown = new Uint8Array(Math.min(frameBytes, Math.max(2 * needed, 1024)));
      grown.set(this.#held.subarray(0, this.#heldBytes));
      this.#held.fill(0);
      this.#held = grown;
    }
    this.#held.set(bytes, this.#heldBytes);
    this.#heldBytes = needed;
  }
}

function regular(frames: number, frameBytes: number): FrameCounts {
  return { frameBytes, regularFrames: frames, finalBytes: undefined };
}
