/** What tests share: a seeded generator, streams fed from arrays, and assertions on error codes. */

import { expect } from "vitest";
import { type Bytes, concat } from "../src/bytes.js";
import { decrypt } from "../src/envelope/decrypt.js";
import type { DecryptOptions } from "../src/envelope/options.js";
import { openRange } from "../src/envelope/range.js";
import type { RangeSource } from "../src/envelope/range-source.js";
import { decryptStream } from "../src/envelope/stream.js";
import { type ErrorCode, KeyladderError } from "../src/errors.js";
import type { Keyring } from "../src/keyring/port.js";
import { rawAesKeyring } from "../src/keyring/raw-aes.js";

/** Runs that are long on request. */
export const SLOW = process.env.SLOW === "1";

/** Reproducible numbers: sfc32, seeded with one integer. Not for keys. */
export class SeededRandom {
  #a: number;
  #b: number;
  #c: number;
  #count = 1;

  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = 0x9e3779b9;
    this.#c = Math.floor(seed / 0x1_0000_0000) >>> 0;
    for (let i = 0; i < 16; i++) this.u32();
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#count++) >>> 0;
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) >>> 0;
    return sum;
  }

  /** A whole number from 0 to `limit - 1`. */
  below(limit: number): number {
    return Math.floor((this.u32() / 0x1_0000_0000) * limit);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  bytes(length: number): Bytes {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i++) out[i] = this.u32();
    return out;
  }
}

/** Bytes 0, 1, 2 …: plaintext that shows where a piece came from. */
export function countingBytes(length: number): Bytes {
  return Uint8Array.from({ length }, (_, i) => i ^ (i >>> 8));
}

/** A raw AES keyring; another `seed` is another key under the same name. */
export function aesKeyring(seed = 1, name = "key"): Keyring {
  return rawAesKeyring({ namespace: "test", name, key: new Uint8Array(32).fill(seed) });
}

export function hex(text: string): Bytes {
  return new Uint8Array(Buffer.from(text, "hex"));
}

export function base64(text: string): Bytes {
  return new Uint8Array(Buffer.from(text, "base64"));
}

export function flipBit(bytes: Uint8Array, bit: number): Bytes {
  const out = new Uint8Array(bytes);
  out[bit >>> 3] = (out[bit >>> 3] as number) ^ (1 << (bit & 7));
  return out;
}

/** Equality that stays fast, and says little, for long arrays. */
export function expectBytes(actual: Uint8Array, expected: Uint8Array): void {
  expect(actual.length).toBe(expected.length);
  expect(Buffer.compare(actual, expected)).toBe(0);
}

/** The error the action ends in, checked to be ours and to carry `code`. */
export async function expectCode(action: Promise<unknown> | (() => unknown), code: ErrorCode): Promise<KeyladderError> {
  const error = await failureOf(action);
  if (!(error instanceof KeyladderError)) throw error ?? new Error(`expected ${code}, but the call succeeded`);
  expect(error.code).toBe(code);
  return error;
}

/** What the action throws or rejects with; undefined where it succeeds. */
export async function failureOf(action: Promise<unknown> | (() => unknown)): Promise<unknown> {
  try {
    await (typeof action === "function" ? action() : action);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** `bytes` cut into views of the given lengths, the last repeated. */
export function* chunksOf(bytes: Uint8Array, ...lengths: number[]): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = Math.max(1, lengths[Math.min(i, lengths.length - 1)] ?? bytes.length);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

/** What came out of a stream, and how it ended: `error` is undefined only for a clean end. */
export async function drain(
  stream: TransformStream<Uint8Array, Uint8Array>,
  chunks: Iterable<unknown>,
): Promise<{ bytes: Bytes; error: unknown }> {
  const iterator = chunks[Symbol.iterator]();
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      const { value, done } = iterator.next();
      if (done) controller.close();
      else controller.enqueue(value as Uint8Array);
    },
  });
  const parts: Uint8Array[] = [];
  const reader = source.pipeThrough(stream).getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return { bytes: concat(...parts), error: undefined };
      parts.push(value);
    }
  } catch (error) {
    return { bytes: concat(...parts), error: error ?? new Error("the stream failed with undefined") };
  }
}

/** As `drain`, for streams that must end cleanly. */
export async function pump(
  stream: TransformStream<Uint8Array, Uint8Array>,
  chunks: Iterable<Uint8Array>,
): Promise<Bytes> {
  const { bytes, error } = await drain(stream, chunks);
  if (error !== undefined) throw error;
  return bytes;
}

/** An array as a RangeSource. */
export function rangeOf(bytes: Uint8Array): RangeSource {
  return {
    byteLength: bytes.length,
    slice: async (start, end) => new Uint8Array(bytes.slice(start, end)).buffer,
  };
}

const BYTE_BY_BYTE_LIMIT = 4096;

/**
 * Opens a message in every way there is, and expects `plaintext` of each: one-shot, into `out`, in place, streamed
 * whole, in odd chunks, byte by byte (small ones) and by range (unsigned framed ones).
 * @returns in how many ways
 */
export async function openEveryWay(
  message: Uint8Array,
  plaintext: Uint8Array,
  options: DecryptOptions,
): Promise<number> {
  const opened = await decrypt(message, options);
  expectBytes(opened.plaintext, plaintext);
  const out = new Uint8Array(plaintext.length + 3).fill(0xee);
  const { plaintext: written } = await decrypt(message, { ...options, out });
  expectBytes(written, plaintext);
  expect(written.buffer).toBe(out.buffer);
  expect([...out.subarray(plaintext.length)]).toEqual([0xee, 0xee, 0xee]);
  const place = new Uint8Array(message);
  expectBytes((await decrypt(place, { ...options, out: place })).plaintext, plaintext);
  let ways = 3;
  const streamed = { ...options, signed: "verify-at-end" } as const;
  const chunkings = [[message.length], [1, 7, 4096]];
  if (message.length <= BYTE_BY_BYTE_LIMIT) chunkings.push([1]);
  for (const lengths of chunkings) {
    expectBytes(await pump(decryptStream(streamed), chunksOf(message, ...lengths)), plaintext);
    ways++;
  }
  if ([0x0578, 0x0378, 0x0346, 0x0214].includes(opened.suite)) return ways;
  const stream = decryptStream(options);
  const { frameBytes } = await headerOf(stream, message);
  if (frameBytes === 0) return ways;
  const range = await openRange(rangeOf(message), options);
  expect(range.byteLength).toBe(plaintext.length);
  expectBytes(new Uint8Array(await range.slice(0)), plaintext);
  const [from, to] = [Math.floor(plaintext.length / 3), plaintext.length - 1];
  if (from <= to) expectBytes(new Uint8Array(await range.slice(from, to)), plaintext.subarray(from, to));
  return ways + 1;
}

async function headerOf(
  stream: ReturnType<typeof decryptStream>,
  message: Uint8Array,
): Promise<{ frameBytes: number }> {
  await drain(stream, [message]);
  return stream.header;
}
