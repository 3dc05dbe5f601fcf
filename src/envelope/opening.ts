/** How a message is opened: policy, data key, commitment, header tag; then its frames. Shared by the verbs that read. */

import { type Bytes, concat, constantTimeEqual, fromBase64, type TakeArray, unfilled, wipe } from "../bytes.js";
import { DataKey } from "../engine/data-key.js";
import type { Engine, MessageKey } from "../engine/port.js";
import { type MessageVerifier, messageVerifier } from "../engine/primitives.js";
import { DecryptError, decryptFailed, FormatError, InputError, KeyNotFoundError, LimitError } from "../errors.js";
import type { UnwrappedDataKey } from "../keyring/port.js";
import {
  contextOf,
  type EncryptionContext,
  mergeContexts,
  NO_PAIRS,
  publicContext,
  readContext,
  readRequired,
  serializeContext,
} from "../message/context.js";
import { framesPlaintextBytes } from "../message/frames.js";
import type { ParsedHeader } from "../message/header.js";
import { DEFAULT_MAX_HELD_BYTES, PUBLIC_KEY_CONTEXT_KEY, PURPOSE_CONTEXT_KEY } from "../message/limits.js";
import { MessageParser, type MessagePart } from "../message/parser.js";
import { answerOf } from "./answer.js";
import { endWith } from "./forgotten.js";
import {
  checkDecryptOptions,
  checkMaxDataKeys,
  checkOptions,
  DECRYPT_OPTIONS,
  type DecryptOptions,
  enforceCommitment,
  maxPlaintext,
} from "./options.js";

/** Options as they were when the call was made. */
export interface OpeningPlan {
  readonly options: DecryptOptions;
  /** What the caller demands of the message. */
  readonly demanded: EncryptionContext;
  /** What the message must be for; undefined: data. */
  readonly purpose: string | undefined;
  readonly maxPlaintextBytes: number;
  readonly maxDataKeys: number;
}

/** Checks and freezes the options, synchronously. @throws InputError ERR_INPUT */
export function planOpening(given: DecryptOptions, further: readonly string[] = [], purpose?: string): OpeningPlan {
  checkOptions(given, DECRYPT_OPTIONS, further);
  const options = { ...given };
  checkDecryptOptions(options);
  const demanded = readContext(options.context);
  readRequired(options.requiredContext, demanded);
  const bounds = { maxPlaintextBytes: maxPlaintext(options), maxDataKeys: checkMaxDataKeys(options) };
  return { options, demanded, purpose, ...bounds };
}

/** A message whose header is authentic. `end` exactly once, on every path. */
export interface Opening {
  readonly header: ParsedHeader;
  /** Every pair bound to the message, the format's own left out. */
  readonly context: EncryptionContext;
  readonly keyId: string;
  readonly keyVersion?: number;
  /** Opens a part's frames or body into `dst`. @throws DecryptError ERR_DECRYPT, `dst` zeroed */
  open(part: BodyPart, dst: Uint8Array): Promise<void>;
  /** @throws DecryptError ERR_DECRYPT where the signature does not cover exactly what was opened, in order */
  verify(signature: Uint8Array): void;
  end(): void;
}

export type BodyPart = Extract<MessagePart, { kind: "frames" | "body" }>;

/** Plaintext bytes a part carries. */
export function partBytes(part: BodyPart): number {
  return part.kind === "frames" ? framesPlaintextBytes(part) : part.ciphertext.length;
}

/**
 * @throws DecryptError ERR_COMMITMENT_POLICY, ERR_CONTEXT_MISMATCH, ERR_DECRYPT · KeyNotFoundError
 * ERR_NO_KEYRING_MATCHED · FormatError · what the keyring throws
 */
export async function startOpening(plan: OpeningPlan, header: ParsedHeader, engine: Engine): Promise<Opening> {
  const { options } = plan;
  const suite = header.suiteInfo;
  enforceCommitment(suite, options);
  checkPublicKey(header);
  checkPurpose(header, plan.purpose);
  const required = requiredPairs(header, plan.demanded);
  const full = mergeContexts(header.context, required);
  const unwrapped = await unwrap(plan, header, full);
  try {
    if (unwrapped.dataKey.byteLength !== suite.dataKeyBytes) throw decryptFailed();
    const made = engine.messageKey(unwrapped.dataKey, suite, header.messageId);
    const key = made instanceof Promise ? await made : made;
    try {
      await authenticateHeader(key, header, required);
      return opening(key, header, publicContext(full), unwrapped, options.signal);
    } catch (error) {
      key.wipe();
      throw error;
    }
  } finally {
    unwrapped.dataKey[Symbol.dispose]();
  }
}

/** The signing key is there exactly where the suite signs. @throws FormatError ERR_FORMAT */
function checkPublicKey({ suiteInfo, context }: ParsedHeader): void {
  const present = PUBLIC_KEY_CONTEXT_KEY in context;
  if (present === (suiteInfo.signature !== undefined)) return;
  const what = present ? "an unsigned message carries a signing key" : "a signed message carries no signing key";
  throw new FormatError("ERR_FORMAT", what);
}

/** A keyset is no data, and data is no keyset. @throws DecryptError ERR_CONTEXT_MISMATCH */
function checkPurpose({ context }: ParsedHeader, purpose: string | undefined): void {
  if (context[PURPOSE_CONTEXT_KEY] === purpose) return;
  const message =
    purpose === undefined ? "the message holds a keyset: openRecords opens it" : "the message holds no keyset";
  throw new DecryptError("ERR_CONTEXT_MISMATCH", message, { contextKey: PURPOSE_CONTEXT_KEY });
}

/** Demanded pairs that are not stored: they must have been bound when the message was made, or its tag fails. */
function requiredPairs({ context }: ParsedHeader, demanded: EncryptionContext): EncryptionContext {
  let missing = 0;
  for (const key in demanded) {
    if (!(key in context)) missing++;
    else if (context[key] !== demanded[key]) {
      const message = `the message is not bound to the value given for "${key}"`;
      throw new DecryptError("ERR_CONTEXT_MISMATCH", message, { contextKey: key });
    }
  }
  if (missing === 0) return NO_PAIRS;
  return contextOf(Object.entries(demanded).filter(([key]) => !(key in context)));
}

async function unwrap(plan: OpeningPlan, header: ParsedHeader, full: EncryptionContext): Promise<UnwrappedDataKey> {
  const { keyring, signal } = plan.options;
  signal?.throwIfAborted();
  const asked = keyring.unwrapDataKey({
    suite: header.suite,
    dataKeyBytes: header.suiteInfo.dataKeyBytes,
    context: full,
    contextBytes: isSorted(header, full) ? header.contextBytes : serializeContext(full),
    encryptedDataKeys: header.encryptedDataKeys,
    demandedContext: plan.demanded,
    ...(signal === undefined ? {} : { signal }),
  });
  const unwrapped = await answerOf(asked, signal);
  if (unwrapped === undefined) {
    const tried = shownProviders(header);
    const message = `no key at hand fits the message's encrypted data keys (${tried.map((id) => JSON.stringify(id)).join(", ")})`;
    throw new KeyNotFoundError("ERR_NO_KEYRING_MATCHED", message, { tried });
  }
  if (!(unwrapped?.dataKey instanceof DataKey)) {
    throw new InputError("ERR_INPUT", "the keyring did not return { dataKey, keyId }");
  }
  return unwrapped;
}

/** At most one pair, and it is stored: as it stands on the wire it is sorted, and need not be serialised again. */
function isSorted(header: ParsedHeader, full: EncryptionContext): boolean {
  return full === header.context && Object.keys(full).length <= 1;
}

const MAX_SHOWN_PROVIDERS = 8;
const MAX_SHOWN_CHARACTERS = 64;

/** Provider ids for an error: a stranger wrote them, so few, short, and printable. */
function shownProviders({ encryptedDataKeys }: ParsedHeader): string[] {
  const ids = [...new Set(encryptedDataKeys.map(({ providerId }) => providerId))].slice(0, MAX_SHOWN_PROVIDERS);
  return ids.map((id) => id.slice(0, MAX_SHOWN_CHARACTERS).replace(/[^ -~]/g, "?"));
}

/** Commitment first, in constant time; then the header tag (format: "verify the header"). */
async function authenticateHeader(key: MessageKey, header: ParsedHeader, required: EncryptionContext): Promise<void> {
  if (header.commitment !== undefined) {
    if (key.commitment === undefined || !constantTimeEqual(key.commitment, header.commitment)) throw decryptFailed();
  }
  const requiredBytes = serializeContext(required);
  const aad = requiredBytes.length === 0 ? header.body : concat(header.body, requiredBytes);
  if (!(await key.openHeader(header.nonce, aad, header.tag))) throw decryptFailed();
}

function opening(
  key: MessageKey,
  header: ParsedHeader,
  context: EncryptionContext,
  unwrapped: UnwrappedDataKey,
  signal: AbortSignal | undefined,
): Opening {
  const verifier = verifierOf(header);
  verifier?.update(header.wire);
  const { keyId, keyVersion } = unwrapped;
  return {
    header,
    context,
    keyId,
    ...(keyVersion === undefined ? {} : { keyVersion }),
    async open(part, dst) {
      verifier?.update(part.wire);
      const { messageId } = header;
      const opened =
        part.kind === "frames"
          ? key.openFrames({
              messageId,
              frameBytes: part.frameBytes,
              firstSequence: part.firstSequence,
              regularFrames: part.regularFrames,
              finalBytes: part.finalBytes,
              src: part.wire,
              dst,
              signal,
            })
          : key.openBody({ messageId, nonce: part.nonce, ciphertext: part.ciphertext, tag: part.tag, dst });
      if (!(opened instanceof Promise ? await opened : opened)) {
        wipe(dst);
        throw decryptFailed();
      }
    },
    verify(signature) {
      if (verifier !== undefined && !verifier.verifies(signature)) throw decryptFailed();
    },
    end: () => key.wipe(),
  };
}

function verifierOf({ suiteInfo, context }: ParsedHeader): MessageVerifier | undefined {
  if (suiteInfo.signature === undefined) return undefined;
  const point = fromBase64(context[PUBLIC_KEY_CONTEXT_KEY] as string);
  const verifier = point && messageVerifier(suiteInfo.signature, point);
  if (verifier === undefined) throw decryptFailed();
  return verifier;
}

/** A message comes in pieces of any size, verified plaintext goes out. Ends only on a complete message. */
export class FrameOpener {
  readonly #plan: OpeningPlan;
  readonly #engine: Engine;
  readonly #parser: MessageParser;
  readonly #onHeader: (opening: Opening) => void;
  readonly #take: TakeArray;
  #opening: Opening | undefined;
  #plaintextBytes = 0;
  #wiped = false;
  /** The last frame of a signed message, until the signature is verified. */
  #held: Bytes | undefined;

  /** @param take where plaintext comes to stand */
  constructor(
    plan: OpeningPlan,
    engine: Engine,
    onHeader: (opening: Opening) => void = () => undefined,
    take: TakeArray = unfilled,
  ) {
    this.#plan = plan;
    this.#engine = engine;
    this.#onHeader = onHeader;
    this.#take = take;
    this.#parser = new MessageParser({
      maxEncryptedDataKeys: plan.maxDataKeys,
      maxHeldBytes: plan.options.maxPlaintextBytes ?? DEFAULT_MAX_HELD_BYTES,
      batchBytes: BATCH_BYTES,
    });
  }

  get plaintextBytes(): number {
    return this.#plaintextBytes;
  }

  /** Set once the header is authentic. */
  get opening(): Opening | undefined {
    return this.#opening;
  }

  /** What `chunk` completes, in order. `chunk` is borrowed until this settles. */
  async update(chunk: Uint8Array): Promise<Bytes[]> {
    this.#parser.push(chunk);
    return this.#drain();
  }

  /** The rest, once the message is complete. @throws FormatError ERR_TRUNCATED where it is not */
  async final(): Promise<Bytes[]> {
    this.#parser.end();
    const out = await this.#drain();
    this.wipe();
    return out;
  }

  /** Lets go of keys and held plaintext. Idempotent. */
  wipe(): void {
    this.#wiped = true;
    this.#opening?.end();
    wipe(this.#held);
    this.#held = undefined;
  }

  async #drain(): Promise<Bytes[]> {
    const out: Bytes[] = [];
    for (let part = this.#parser.next(); part !== undefined; part = this.#parser.next()) {
      this.#plan.options.signal?.throwIfAborted();
      if (part.kind === "header") await this.#begin(part.header);
      else if (part.kind === "footer") this.#release(part.signature, out);
      else await this.#open(part, out);
    }
    return out;
  }

  async #begin(header: ParsedHeader): Promise<void> {
    if (header.suiteInfo.signature !== undefined && this.#plan.options.signed !== "verify-at-end") {
      const hint = 'a stream would release plaintext before its signature; pass signed: "verify-at-end" to accept that';
      throw new DecryptError("ERR_SIGNED_STREAM", `the message is signed: ${hint}`);
    }
    this.#opening = await startOpening(this.#plan, header, this.#engine);
    endWith(this, this.#opening);
    if (this.#wiped) this.#opening.end(); // cancelled while the keyring was asked
    this.#onHeader(this.#opening);
  }

  async #open(part: BodyPart, out: Bytes[]): Promise<void> {
    const opening = this.#opening as Opening;
    const bytes = partBytes(part);
    this.#plaintextBytes += bytes;
    if (this.#plaintextBytes > this.#plan.maxPlaintextBytes) throw plaintextLimit(this.#plan);
    const plaintext = this.#take(bytes);
    await opening.open(part, plaintext);
    const last = part.kind === "body" ? bytes : part.finalBytes;
    if (opening.header.suiteInfo.signature === undefined || last === undefined) {
      if (bytes > 0) out.push(plaintext);
      return;
    }
    if (bytes > last) out.push(plaintext.slice(0, bytes - last));
    this.#held = plaintext.slice(bytes - last);
    wipe(plaintext);
  }

  #release(signature: Uint8Array, out: Bytes[]): void {
    this.#opening?.verify(signature);
    if (this.#held !== undefined && this.#held.length > 0) out.push(this.#held);
    this.#held = undefined;
  }
}

/** The most wire bytes, one frame more, that one call of the engine opens: it cuts them as it likes. */
const BATCH_BYTES = 16 * 1024 * 1024;

export function plaintextLimit({ maxPlaintextBytes }: OpeningPlan): LimitError {
  return new LimitError("ERR_LIMIT_PLAINTEXT", `the plaintext exceeds the limit of ${maxPlaintextBytes} bytes`);
}
