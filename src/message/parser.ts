/**
 * The incremental parser: messages of versions 1 and 2, framed and not, fed all at once or a byte at a time with the
 * same result. It knows no key: what it yields is well-formed, not authentic.
 */

import { type Bytes, fromUtf8, readU64 } from "../bytes.js";
import { FormatError, LimitError } from "../errors.js";
import { readWireContext } from "./context.js";
import { checkSequence, FINAL_FRAME_PREFIX_BYTES, type FrameCounts, finalFrame, regularFrame } from "./frames.js";
import { CONTENT_FRAMED, CONTENT_NON_FRAMED, type EncryptedDataKey, type ParsedHeader } from "./header.js";
import { MessageInput } from "./input.js";
import {
  COMMITMENT_BYTES,
  FINAL_FRAME_MARK,
  MAX_NON_FRAMED_BYTES,
  MESSAGE_ID_BYTES,
  NONCE_BYTES,
  TAG_BYTES,
} from "./limits.js";
import { type Suite, suiteOf } from "./suites.js";

/** Bounds on what a message may claim. */
export interface ParserLimits {
  /** The most encrypted data keys, checked as soon as the count is read. */
  readonly maxEncryptedDataKeys: number;
  /** The most bytes of one frame or non-framed body to hold before it is complete. */
  readonly maxHeldBytes: number;
  /** About how many wire bytes of frames to yield at once. */
  readonly batchBytes: number;
}

/** Views (`wire`, `ciphertext` …) are valid until the next `push`; everything in a header is a copy. */
export type MessagePart =
  | { readonly kind: "header"; readonly header: ParsedHeader }
  | ({ readonly kind: "frames"; readonly firstSequence: number; readonly wire: Uint8Array } & FrameCounts)
  | {
      readonly kind: "body";
      readonly wire: Uint8Array;
      readonly nonce: Uint8Array;
      readonly ciphertext: Uint8Array;
      readonly tag: Uint8Array;
    }
  | { readonly kind: "footer"; readonly signature: Uint8Array };

/** Feed with `push`, then call `next` until it says undefined; after the last `push`, `end` and `next` once more. */
export class MessageParser {
  readonly #input = new MessageInput();
  readonly #parts: Generator<MessagePart | undefined, void, void>;
  #done = false;
  #failure: unknown;

  constructor(limits: ParserLimits) {
    this.#parts = parseMessage(this.#input, limits);
  }

  /** Adds bytes; borrowed until `next` has said undefined. */
  push(chunk: Uint8Array): void {
    this.#input.push(chunk);
  }

  /** No more bytes will come: from now on a part that is cut short is ERR_TRUNCATED. */
  end(): void {
    this.#input.ended = true;
  }

  /** True once the message is complete and nothing followed it. */
  get done(): boolean {
    return this.#done;
  }

  /**
   * The next part; undefined where it needs more bytes, or, after `end`, where the message is complete.
   * @throws FormatError ERR_FORMAT, ERR_TRUNCATED, ERR_TRAILING_BYTES, ERR_LOOKS_LIKE_BASE64, ERR_UNSUPPORTED_VERSION
   * · LimitError ERR_LIMIT_DATA_KEYS, ERR_LIMIT_PLAINTEXT
   */
  next(): MessagePart | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      const { value, done } = this.#parts.next();
      if (done) this.#done = true;
      if (!value) this.#input.settle();
      return value || undefined;
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }
}

/** Parses the header at the start of `message`; what follows it is not looked at. */
export function parseHeaderOf(message: Uint8Array, maxEncryptedDataKeys: number): ParsedHeader {
  const input = new MessageInput();
  input.push(message);
  input.ended = true;
  const result = parseHeader(input, maxEncryptedDataKeys).next();
  if (!result.done) throw truncated(input, "the header");
  return result.value;
}

function* parseMessage(input: MessageInput, limits: ParserLimits): Generator<MessagePart | undefined, void, void> {
  const header = yield* parseHeader(input, limits.maxEncryptedDataKeys);
  yield { kind: "header", header };
  if (header.frameBytes === 0) yield* parseBody(input, limits);
  else yield* parseFrames(input, header.frameBytes, limits);
  if (header.suiteInfo.signature !== undefined) yield* parseFooter(input);
  while (!input.ended) {
    if (input.available > 0) break;
    yield undefined;
  }
  if (input.available > 0) {
    throw new FormatError("ERR_TRAILING_BYTES", "bytes follow the end of the message", { offset: input.offset });
  }
}

/** Waits until `bytes` are there. `what` names the part in the error. */
function* need(input: MessageInput, bytes: number, what: string): Generator<undefined, void, void> {
  while (input.available < bytes) {
    if (input.ended) throw truncated(input, what);
    yield undefined;
  }
}

function truncated(input: MessageInput, what: string): FormatError {
  const offset = input.offset + input.available;
  return new FormatError("ERR_TRUNCATED", `the message ends in the middle of ${what}`, { offset });
}

function* parseHeader(input: MessageInput, maxDataKeys: number): Generator<undefined, ParsedHeader, void> {
  const what = "the header";
  if (input.available < 2) yield* need(input, 2, what);
  const version = checkVersion(input);
  const fixedBytes = version === 1 ? 4 + MESSAGE_ID_BYTES[1] + 2 : 3 + MESSAGE_ID_BYTES[2] + 2;
  if (input.available < fixedBytes) yield* need(input, fixedBytes, what);
  const suiteInfo = checkSuite(input, version);
  const idAt = version === 1 ? 4 : 3;
  const idBytes = MESSAGE_ID_BYTES[version];

  let at = fixedBytes + input.u16(fixedBytes - 2);
  const contextEnd = at;
  if (input.available < at + 2) yield* need(input, at + 2, what);
  const context = readWireContext(input.view(fixedBytes, contextEnd), input.offset + fixedBytes);

  const count = input.u16(at);
  if (count === 0) throw malformed(input, at, "the message has no encrypted data key");
  if (count > maxDataKeys) {
    throw new LimitError(
      "ERR_LIMIT_DATA_KEYS",
      `the message has ${count} encrypted data keys, the limit is ${maxDataKeys}`,
    );
  }
  at += 2;
  const fields: number[] = [];
  for (let i = 0; i < 3 * count; i++) {
    if (input.available < at + 2) yield* need(input, at + 2, what);
    const end = at + 2 + input.u16(at);
    if (input.available < end) yield* need(input, end, what);
    fields.push(at + 2, end);
    at = end;
  }

  const bodyEnd = at + (version === 1 ? 10 : 5 + COMMITMENT_BYTES);
  const headerBytes = bodyEnd + (version === 1 ? NONCE_BYTES : 0) + TAG_BYTES;
  if (input.available < headerBytes) yield* need(input, headerBytes, what);
  const frameBytes = checkContentType(input, at, version);
  const wire = input.takeCopy(headerBytes);
  return {
    version,
    suite: suiteInfo.id,
    suiteInfo,
    messageId: wire.slice(idAt, idAt + idBytes),
    context,
    contextBytes: wire.subarray(fixedBytes, contextEnd),
    encryptedDataKeys: dataKeysOf(wire, fields, input.offset - headerBytes),
    frameBytes,
    headerBytes,
    body: wire.subarray(0, bodyEnd),
    wire,
    nonce: version === 1 ? wire.subarray(bodyEnd, bodyEnd + NONCE_BYTES) : new Uint8Array(NONCE_BYTES),
    tag: wire.subarray(headerBytes - TAG_BYTES),
    commitment: version === 1 ? undefined : wire.subarray(bodyEnd - COMMITMENT_BYTES, bodyEnd),
  };
}

function malformed(input: MessageInput, at: number, what: string): FormatError {
  return new FormatError("ERR_FORMAT", what, { offset: input.offset + at });
}

function checkVersion(input: MessageInput): 1 | 2 {
  const first = input.u8(0);
  const second = input.u8(1);
  if (first === 0x41 && (second === 0x59 || second === 0x67)) {
    const hint = "decode it first: Buffer.from(text, 'base64')";
    throw new FormatError("ERR_LOOKS_LIKE_BASE64", `the message looks like base64 text: ${hint}`, { offset: 0 });
  }
  if (first !== 1 && first !== 2) {
    const shown = first.toString(16).padStart(2, "0");
    throw new FormatError("ERR_UNSUPPORTED_VERSION", `not a message: it starts with byte ${shown}, not 01 or 02`, {
      offset: 0,
    });
  }
  if (first === 1 && second !== 0x80) throw malformed(input, 1, "unknown message type");
  return first;
}

function checkSuite(input: MessageInput, version: 1 | 2): Suite {
  const at = version === 1 ? 2 : 1;
  const suite = suiteOf(input.u16(at), input.offset + at);
  if (suite.messageVersion !== version) {
    throw malformed(input, at, `suite ${suite.name} does not belong in a version ${version} message`);
  }
  return suite;
}

/** Content type, the fixed fields beside it in version 1, and the frame length: 0 for a non-framed message. */
function checkContentType(input: MessageInput, at: number, version: 1 | 2): number {
  const type = input.u8(at);
  if (type !== CONTENT_FRAMED && type !== CONTENT_NON_FRAMED) throw malformed(input, at, "unknown content type");
  if (version === 1) {
    if (input.u32(at + 1) !== 0) throw malformed(input, at + 1, "reserved bytes are not zero");
    if (input.u8(at + 5) !== NONCE_BYTES) throw malformed(input, at + 5, "the IV length is not 12");
  }
  const frameBytesAt = at + (version === 1 ? 6 : 1);
  const frameBytes = input.u32(frameBytesAt);
  if ((frameBytes === 0) !== (type === CONTENT_NON_FRAMED)) {
    throw malformed(input, frameBytesAt, `frame length ${frameBytes} does not fit the content type`);
  }
  return frameBytes;
}

/** `fields` holds start and end of each provider id, provider info and ciphertext. */
function dataKeysOf(wire: Bytes, fields: readonly number[], offset: number): EncryptedDataKey[] {
  const keys: EncryptedDataKey[] = [];
  for (let i = 0; i < fields.length; i += 6) {
    const idAt = fields[i] as number;
    keys.push({
      providerId: fromUtf8(wire.subarray(idAt, fields[i + 1]), "a provider id", offset + idAt),
      providerInfo: wire.slice(fields[i + 2], fields[i + 3]),
      ciphertext: wire.slice(fields[i + 4], fields[i + 5]),
    });
  }
  return keys;
}

function* parseFrames(
  input: MessageInput,
  frameBytes: number,
  limits: ParserLimits,
): Generator<MessagePart | undefined, void, void> {
  const wireBytes = regularFrame(frameBytes).wireBytes;
  for (let sequence = 1; ; ) {
    if (input.available < 4) yield* need(input, 4, "the body");
    const firstSequence = sequence;
    let regularFrames = 0;
    let end = 0;
    while (input.available >= end + 4 && input.u32(end) !== FINAL_FRAME_MARK) {
      checkSequence(input.u32(end), sequence, input.offset + end);
      if (regularFrames === 0) {
        checkHeld(frameBytes, limits);
        if (input.available < wireBytes) yield* need(input, wireBytes, "a frame");
      } else if (input.available < end + wireBytes || end >= limits.batchBytes) {
        break;
      }
      regularFrames++;
      sequence++;
      end += wireBytes;
    }
    const atFinal = input.available >= end + 4 && input.u32(end) === FINAL_FRAME_MARK;
    const finalBytes = atFinal
      ? yield* readFinal(input, end, sequence, frameBytes, limits, regularFrames > 0)
      : undefined;
    if (finalBytes !== undefined) end += finalFrame(finalBytes).wireBytes;
    yield { kind: "frames", firstSequence, frameBytes, regularFrames, finalBytes, wire: input.take(end) };
    if (finalBytes !== undefined) return;
  }
}

/** The final frame's length once the whole frame is there; undefined where frames before it should go out first. */
function* readFinal(
  input: MessageInput,
  at: number,
  sequence: number,
  frameBytes: number,
  limits: ParserLimits,
  framesBefore: boolean,
): Generator<undefined, number | undefined, void> {
  const prefixEnd = at + FINAL_FRAME_PREFIX_BYTES;
  if (input.available < prefixEnd && framesBefore) return undefined;
  if (input.available < prefixEnd) yield* need(input, prefixEnd, "the final frame");
  checkSequence(input.u32(at + 4), sequence, input.offset + at + 4);
  const lengthAt = prefixEnd - 4;
  const length = input.u32(lengthAt);
  if (length > frameBytes) {
    throw malformed(input, lengthAt, `the final frame claims ${length} bytes, the frame length is ${frameBytes}`);
  }
  checkHeld(length, limits);
  const end = prefixEnd + length + TAG_BYTES;
  if (input.available < end && framesBefore) return undefined;
  if (input.available < end) yield* need(input, end, "the final frame");
  return length;
}

function checkHeld(bytes: number, limits: ParserLimits): void {
  if (bytes <= limits.maxHeldBytes) return;
  throw new LimitError(
    "ERR_LIMIT_PLAINTEXT",
    `one frame of ${bytes} bytes must be held before it can be authenticated, the limit is ${limits.maxHeldBytes}`,
  );
}

function* parseBody(input: MessageInput, limits: ParserLimits): Generator<MessagePart | undefined, void, void> {
  const prefix = NONCE_BYTES + 8;
  if (input.available < prefix) yield* need(input, prefix, "the body");
  const length = readU64(input.view(NONCE_BYTES, prefix), 0);
  if (length > MAX_NON_FRAMED_BYTES) throw malformed(input, NONCE_BYTES, "the body length exceeds 2^36 - 32 bytes");
  checkHeld(Number(length), limits);
  const end = prefix + Number(length) + TAG_BYTES;
  if (input.available < end) yield* need(input, end, "the body");
  const wire = input.take(end);
  yield {
    kind: "body",
    wire,
    nonce: wire.subarray(0, NONCE_BYTES),
    ciphertext: wire.subarray(prefix, end - TAG_BYTES),
    tag: wire.subarray(end - TAG_BYTES),
  };
}

function* parseFooter(input: MessageInput): Generator<MessagePart | undefined, void, void> {
  if (input.available < 2) yield* need(input, 2, "the signature");
  const end = 2 + input.u16(0);
  if (input.available < end) yield* need(input, end, "the signature");
  yield { kind: "footer", signature: input.take(end).subarray(2) };
}
