/** Every kernel against node:crypto: each length from 0 to 600, and random shapes (100,000 a kernel with SLOW=1). */

import { createCipheriv } from "node:crypto";
import { expect, test } from "vitest";
import { type Bytes, concat } from "../../../src/bytes.js";
import type { KeyHandle } from "../../../src/engine/addon.js";
import { framesPlaintextBytes, framesWireBytes } from "../../../src/message/frames.js";
import { addon, describeNative, kernels, sealingKey, shared, unaligned } from "../../addon.js";
import { forgeFrame } from "../../forge.js";
import { countingBytes, expectBytes, flipBit, SeededRandom, SLOW } from "../../kit.js";

const KEY_BYTES = [16, 24, 32] as const;
const CASES = SLOW ? 100_000 : 2000;
/** A key's cases; then another key. */
const CASES_A_KEY = 50;

/** AES-GCM by OpenSSL: ciphertext, then tag. */
function gcm(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Bytes {
  const cipher = createCipheriv(`aes-${8 * key.length}-gcm` as "aes-256-gcm", key, nonce, { authTagLength: 16 });
  cipher.setAAD(aad);
  return concat(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
}

describeNative("kernels", () => {
  test("some run here, or the machine has none of their instructions", () => {
    expect(kernels.length > 0).toBe(addon.info().features.includes("pclmulqdq"));
  });
});

describeNative.each(kernels)("%s", (_name, number) => {
  test.each(KEY_BYTES)("AES of %i bytes: every length from 0 to 600", (keyBytes) => {
    const bytes = countingBytes(keyBytes);
    const key = sealingKey(bytes, number);
    const nonce = countingBytes(12);
    const all = new SeededRandom(keyBytes).bytes(600);
    for (let length = 0; length <= 600; length++) {
      const plaintext = all.subarray(0, length);
      const aad = all.subarray(0, length % 83);
      const expected = gcm(bytes, nonce, aad, plaintext);
      const dst = unaligned(new Uint8Array(length + 16));
      expect(addon.seal(key, nonce, aad, plaintext, dst.view)).toBe(0);
      expectBytes(dst.view, expected);
      expect(dst.intact()).toBe(true);
      expect(addon.open(key, nonce, aad, dst.view, dst.view.subarray(0, length))).toBe(1);
      expectBytes(dst.view.subarray(0, length), plaintext);
      const wrong = flipBit(expected, (length * 37) % (8 * expected.length));
      const opened = new Uint8Array(length).fill(0xee);
      expect(addon.open(key, nonce, aad, wrong, opened)).toBe(0);
      expectBytes(opened, new Uint8Array(length));
    }
    expect(addon.keyDispose(key)).toBe(0);
  });

  test(`${CASES} random cases against node:crypto`, { timeout: 600_000 }, () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
    const random = new SeededRandom(seed);
    for (let done = 0; done < CASES; ) {
      const bytes = random.bytes(random.pick(KEY_BYTES));
      const key = sealingKey(bytes, number);
      for (let i = 0; i < CASES_A_KEY; i++, done++) {
        const kind = random.pick([oneShot, oneShot, frames, records]);
        try {
          kind(key, bytes, random);
        } catch (error) {
          throw new Error(`case ${done} of SEED=${seed} (${kind.name})`, { cause: error });
        }
      }
      expect(addon.keyDispose(key)).toBe(0);
    }
  });

  test("AES-CTR alone is GCM without its tag", () => {
    const bytes = countingBytes(32);
    const key = sealingKey(bytes, number);
    for (const length of [0, 1, 16, 100, 512, 1000, 5000]) {
      const plaintext = countingBytes(length);
      const dst = new Uint8Array(length);
      expect(addon.ctr(key, countingBytes(12), plaintext, dst)).toBe(0);
      const sealed = gcm(bytes, countingBytes(12), new Uint8Array(0), plaintext);
      expectBytes(dst, sealed.subarray(0, length));
    }
  });
});

/** Mostly short, sometimes some kilobytes. */
function lengthOf(random: SeededRandom): number {
  return random.below(random.pick([18, 70, 300, 1200, 9000]));
}

function oneShot(key: KeyHandle, bytes: Uint8Array, random: SeededRandom): void {
  const nonce = random.bytes(random.pick([12, 12, 12, 1, 8, 16, 40]));
  const aad = random.bytes(lengthOf(random) % 400);
  const plaintext = random.bytes(lengthOf(random));
  const expected = gcm(bytes, nonce, aad, plaintext);
  const dst = unaligned(new Uint8Array(expected.length), 1 + random.below(70));
  expect(addon.seal(key, nonce, aad, unaligned(plaintext, 1 + random.below(70)).view, dst.view)).toBe(0);
  expectBytes(dst.view, expected);
  const out = random.pick([new Uint8Array(plaintext.length), shared(new Uint8Array(plaintext.length))]);
  expect(addon.open(key, nonce, aad, dst.view, out)).toBe(1);
  expectBytes(out.slice(), plaintext);
  const wrong = flipBit(expected, random.below(8 * expected.length));
  expect(addon.open(key, nonce, aad, wrong, out)).toBe(0);
  expectBytes(out.slice(), new Uint8Array(plaintext.length));
}

function frames(key: KeyHandle, bytes: Uint8Array, random: SeededRandom): void {
  const messageId = random.bytes(random.pick([16, 32]));
  const frameBytes = 1 + lengthOf(random);
  const regularFrames = random.below(frameBytes > 1000 ? 4 : 12);
  const finalBytes = random.pick([undefined, 0, random.below(frameBytes + 1), frameBytes]);
  const counts = { frameBytes, regularFrames, finalBytes };
  const first = random.pick([1, 255, 65_530, 0xffff_fff0 - regularFrames]);
  const plaintext = random.bytes(framesPlaintextBytes(counts));
  const wire = unaligned(new Uint8Array(framesWireBytes(counts)));
  expect(addon.sealFrames(key, messageId, frameBytes, first, regularFrames, finalBytes, plaintext, wire.view)).toBe(0);
  expect(wire.intact()).toBe(true);
  let at = 0;
  for (let i = 0; i < regularFrames; i++) {
    const piece = plaintext.subarray(i * frameBytes, (i + 1) * frameBytes);
    const { nonce, sealed } = forgeFrame(bytes, messageId, "regular", first + i, piece);
    expectBytes(wire.view.subarray(at + 4, at + 16), nonce);
    expectBytes(wire.view.subarray(at + 16, at + 16 + sealed.length), sealed);
    at += 16 + sealed.length;
  }
  if (finalBytes !== undefined) {
    const piece = plaintext.subarray(regularFrames * frameBytes);
    const { sealed } = forgeFrame(bytes, messageId, "final", first + regularFrames, piece);
    expectBytes(wire.view.subarray(at + 24), sealed);
  }
  const open = (src: Uint8Array, dst: Uint8Array) =>
    addon.openFrames(key, messageId, frameBytes, first, regularFrames, finalBytes, src, dst);
  const out = random.pick([new Uint8Array(plaintext.length), shared(new Uint8Array(plaintext.length))]);
  expect(open(wire.view, out)).toBe(1);
  expectBytes(out.slice(), plaintext);
  if (wire.view.length === 0) return;
  // Marks and sequence numbers are the parser's to check, and a nonce on the wire its copy of them: only what the tag
  // covers is flipped here.
  const lastTag = 8 * (wire.view.length - 1 - random.below(16)) + random.below(8);
  expect(open(flipBit(wire.view, lastTag), out)).toBe(0);
  expectBytes(out.slice(), new Uint8Array(plaintext.length));
  const place = new Uint8Array(wire.view);
  expect(open(place, place.subarray(0, plaintext.length))).toBe(1);
  expectBytes(place.subarray(0, plaintext.length), plaintext);
}

function records(key: KeyHandle, bytes: Uint8Array, random: SeededRandom): void {
  const count = random.below(25);
  const prefix = random.bytes(random.below(17));
  const nonces = random.bytes(12 * count);
  const limit = random.pick([1, 17, 65, 65, 200, 700]);
  const values = Array.from({ length: count }, () => random.bytes(random.below(limit)));
  const aads = Array.from({ length: count }, () => random.bytes(random.below(40)));
  const withAad = random.below(2) === 1;
  const [src, srcOffsets] = arenaOf(values, random.below(5));
  const [aad, aadOffsets] = withAad ? arenaOf(aads, random.below(5)) : [undefined, undefined];
  const total = src.length + count * (prefix.length + 28);
  const dst = unaligned(new Uint8Array(total));
  const offsets = new Uint32Array(count + 1);
  expect(addon.sealRecords(key, 0, prefix, nonces, src, srcOffsets, aad, aadOffsets, dst.view, offsets)).toBe(0);
  expect(dst.intact()).toBe(true);
  values.forEach((value, i) => {
    const nonce = nonces.subarray(12 * i, 12 * i + 12);
    const sealed = gcm(bytes, nonce, withAad ? (aads[i] as Bytes) : new Uint8Array(0), value);
    expectBytes(dst.view.subarray(offsets[i], offsets[i + 1]), concat(prefix, nonce, sealed));
  });
  const wrong = random.below(count + 1);
  const wire = new Uint8Array(dst.view);
  if (wrong < count) {
    const begin = (offsets[wrong] as number) + prefix.length;
    const end = offsets[wrong + 1] as number;
    const at = begin + random.below(end - begin);
    wire[at] = (wire[at] as number) ^ (1 << random.below(8));
  }
  const plainBytes = values.reduce((sum, { length }) => sum + length, 0);
  const out = random.pick([new Uint8Array(plainBytes), shared(new Uint8Array(plainBytes))]);
  const outOffsets = new Int32Array(count + 1);
  const status = new Uint8Array(count).fill(9);
  const failed = addon.openRecords(key, 0, prefix, wire, offsets, aad, aadOffsets, out, outOffsets, status);
  expect(failed).toBe(wrong < count ? 1 : 0);
  expect([...status]).toEqual(values.map((_, i) => (i === wrong ? 1 : 0)));
  values.forEach((value, i) => {
    const opened = out.slice(outOffsets[i], outOffsets[i + 1]);
    expectBytes(opened, i === wrong ? new Uint8Array(0) : value);
  });
}

/** Values back to back behind `start` bytes, and where each begins. */
function arenaOf(values: readonly Uint8Array[], start: number): [Bytes, Uint32Array] {
  const offsets = new Uint32Array(values.length + 1);
  offsets[0] = start;
  values.forEach(({ length }, i) => {
    offsets[i + 1] = (offsets[i] as number) + length;
  });
  return [concat(new Uint8Array(start), ...values), offsets];
}
