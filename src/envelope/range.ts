/** Byte ranges of a message's plaintext, reading only the frames they touch. */

import { readU32 } from "../bytes.js";
import { DecryptError, FormatError, InputError, KeyladderError } from "../errors.js";
import {
  checkSequence,
  type FrameCounts,
  finalFrame,
  framesPlaintextBytes,
  framesWireBytes,
  regularFrame,
} from "../message/frames.js";
import type { MessageHeader, ParsedHeader } from "../message/header.js";
import { FINAL_FRAME_MARK, FINAL_FRAME_OVERHEAD_BYTES } from "../message/limits.js";
import { parseHeaderOf } from "../message/parser.js";
import { defaultEngine } from "../pool/default.js";
import { endWith } from "./forgotten.js";
import { publicHeader } from "./inspect.js";
import { type Opening, type OpeningPlan, plaintextLimit, planOpening, startOpening } from "./opening.js";
import { type DecryptOptions, wholeNumber } from "./options.js";
import type { RangeSource } from "./range-source.js";

/**
 * `length` bytes of plaintext from `offset`, cut off at the plaintext's end: `openRange` and one `slice`.
 * @param file a path or file URL (Node only), or any RangeSource over the message
 * @throws as `openRange`
 */
export async function decryptRange(
  file: string | URL | RangeSource,
  offset: number,
  length: number,
  options: DecryptOptions,
): Promise<ReturnType<typeof Uint8Array.of>> {
  const most = Number.MAX_SAFE_INTEGER;
  const start = wholeNumber(offset, "offset", 0, most, Number.NaN);
  const end = start + wholeNumber(length, "length", 0, most, Number.NaN);
  if (Number.isNaN(end)) throw new InputError("ERR_INPUT", '"offset" and "length" expected whole numbers');
  const { source, opening } = await openFrames(file, options);
  try {
    return new Uint8Array(await source.slice(start, end));
  } finally {
    opening.end();
  }
}

/**
 * Opens an unsigned framed message for random access: one unwrap, and the last frame verified before anything else, so
 * that a truncated source shows. Each slice authenticates the frames it returns, and nothing else.
 * @returns a RangeSource over the plaintext, and the authenticated header
 * @throws FormatError ERR_TRUNCATED, ERR_FORMAT · DecryptError ERR_SIGNED_STREAM, ERR_DECRYPT · InputError for
 * non-framed messages · as `decrypt`
 */
export async function openRange(source: string | URL | RangeSource, options: DecryptOptions): Promise<OpenedRange> {
  return (await openFrames(source, options)).source;
}

type OpenedRange = RangeSource & { readonly header: MessageHeader };

/** The range, and what holds its key. */
async function openFrames(
  source: string | URL | RangeSource,
  options: DecryptOptions,
): Promise<{ source: OpenedRange; opening: Opening }> {
  const plan = planOpening(options);
  const bytes = await sourceOf(source);
  const header = await readHeader(bytes, plan);
  if (header.suiteInfo.signature !== undefined) {
    const why = "its signature covers the whole, and cannot be verified for a range";
    throw new DecryptError("ERR_SIGNED_STREAM", `the message is signed: ${why}`);
  }
  if (header.frameBytes === 0) {
    throw new InputError("ERR_INPUT", "a non-framed message has no frames to read one by one: use decrypt");
  }
  const counts = countFrames(bytes.byteLength - header.headerBytes, header.frameBytes);
  const plaintextBytes = framesPlaintextBytes(counts);
  if (plaintextBytes > plan.maxPlaintextBytes) throw plaintextLimit(plan);
  const opening = await startOpening(plan, header, defaultEngine());
  const frames = new FrameReader(bytes, opening, counts);
  endWith(frames, opening);
  try {
    await frames.read(counts.regularFrames + 1, counts.regularFrames + 1);
  } catch (error) {
    opening.end();
    throw error;
  }
  const range: OpenedRange = {
    header: publicHeader(header),
    byteLength: plaintextBytes,
    async slice(start, end) {
      const [from, to] = clampSlice(start, end, plaintextBytes);
      if (from >= to) return new ArrayBuffer(0);
      const first = Math.floor(from / header.frameBytes) + 1;
      const last = Math.min(Math.floor((to - 1) / header.frameBytes) + 1, counts.regularFrames + 1);
      const plaintext = await frames.read(first, last);
      const at = (first - 1) * header.frameBytes;
      return plaintext.buffer.slice(from - at, to - at);
    },
  };
  return { source: range, opening };
}

async function sourceOf(source: string | URL | RangeSource): Promise<RangeSource> {
  if (typeof source === "string" || source instanceof URL) return (await import("./file-source.js")).fileSource(source);
  if (typeof source?.slice === "function" && Number.isSafeInteger(source.byteLength)) return source;
  throw new InputError("ERR_INPUT", '"source" expected a path, a file: URL, or { byteLength, slice }');
}

const FIRST_READ_BYTES = 4096;

/** Reads a growing prefix until the header is whole. */
async function readHeader(source: RangeSource, plan: OpeningPlan): Promise<ParsedHeader> {
  for (let bytes = FIRST_READ_BYTES; ; bytes *= 4) {
    const prefix = new Uint8Array(await source.slice(0, Math.min(bytes, source.byteLength)));
    try {
      return parseHeaderOf(prefix, plan.maxDataKeys);
    } catch (error) {
      const more = KeyladderError.is(error, "ERR_TRUNCATED") && bytes < source.byteLength;
      if (!more) throw error;
    }
  }
}

/** How a body of that many wire bytes is cut: there is only one way. @throws FormatError ERR_TRUNCATED */
function countFrames(bodyBytes: number, frameBytes: number): FrameCounts & { readonly finalBytes: number } {
  const { wireBytes } = regularFrame(frameBytes);
  const behindFinal = bodyBytes - FINAL_FRAME_OVERHEAD_BYTES;
  const regularFrames = Math.floor(behindFinal / wireBytes);
  const finalBytes = behindFinal - regularFrames * wireBytes;
  if (behindFinal < 0 || finalBytes > frameBytes) throw truncatedSource();
  return { frameBytes, regularFrames, finalBytes };
}

function truncatedSource(): FormatError {
  return new FormatError("ERR_TRUNCATED", "the source does not end in the message's final frame");
}

/** Start and end as `slice` takes them: negative counts from the end, both clamped. */
function clampSlice(start: number, end: number | undefined, bytes: number): [number, number] {
  const clamp = (value: number): number => {
    if (!Number.isInteger(value)) throw new InputError("ERR_INPUT", "a slice expected whole numbers");
    return Math.min(Math.max(value < 0 ? value + bytes : value, 0), bytes);
  };
  return [clamp(start), end === undefined ? bytes : clamp(end)];
}

class FrameReader {
  readonly #source: RangeSource;
  readonly #opening: Opening;
  readonly #whole: FrameCounts & { readonly finalBytes: number };

  constructor(source: RangeSource, opening: Opening, whole: FrameCounts & { readonly finalBytes: number }) {
    this.#source = source;
    this.#opening = opening;
    this.#whole = whole;
  }

  /** Plaintext of frames `first` to `last`, counted from 1, in a buffer of its own. */
  async read(first: number, last: number): Promise<ReturnType<typeof Uint8Array.of>> {
    const { frameBytes, regularFrames, finalBytes } = this.#whole;
    const withFinal = last > regularFrames;
    const counts: FrameCounts = {
      frameBytes,
      regularFrames: last - first + (withFinal ? 0 : 1),
      finalBytes: withFinal ? finalBytes : undefined,
    };
    const start = this.#opening.header.headerBytes + (first - 1) * regularFrame(frameBytes).wireBytes;
    const wire = new Uint8Array(await this.#source.slice(start, start + framesWireBytes(counts)));
    if (wire.length !== framesWireBytes(counts)) throw truncatedSource();
    this.#check(wire, start, first, counts);
    const plaintext = new Uint8Array(framesPlaintextBytes(counts));
    await this.#opening.open({ kind: "frames", firstSequence: first, wire, ...counts }, plaintext);
    return plaintext;
  }

  /** Marks, sequence numbers and the final length are what they must be at these places. */
  #check(wire: Uint8Array, start: number, first: number, counts: FrameCounts): void {
    const { wireBytes } = regularFrame(counts.frameBytes);
    for (let i = 0; i < counts.regularFrames; i++) {
      checkSequence(readU32(wire, i * wireBytes), first + i, start + i * wireBytes);
    }
    if (counts.finalBytes === undefined) return;
    const at = counts.regularFrames * wireBytes;
    if (readU32(wire, at) !== FINAL_FRAME_MARK) throw truncatedSource();
    checkSequence(readU32(wire, at + 4), first + counts.regularFrames, start + at + 4);
    if (readU32(wire, at + finalFrame(0).ciphertextAt - 4) !== counts.finalBytes) throw truncatedSource();
  }
}
