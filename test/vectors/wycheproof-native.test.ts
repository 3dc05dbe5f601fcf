/** Wycheproof's AES-GCM against every kernel of this CPU, in every way there is to seal and open one buffer. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { concat } from "../../src/bytes.js";
import type { KeyHandle } from "../../src/engine/addon.js";
import { addon, codeOf, describeNative, kernels, sealingKey, shared, unaligned } from "../addon.js";
import { expectBytes, hex } from "../kit.js";
import { vectorsDir } from "./locate.js";

interface Vector {
  readonly tcId: number;
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
  readonly result: "valid" | "invalid";
}

interface Parts {
  readonly nonce: Uint8Array;
  readonly aad: Uint8Array;
  readonly plaintext: Uint8Array;
  readonly sealed: Uint8Array;
}

const folder = vectorsDir("wycheproof");
const groups: { testGroups: { tests: Vector[] }[] } =
  folder === undefined ? { testGroups: [] } : JSON.parse(readFileSync(join(folder, "aes_gcm_test.json"), "utf8"));
const vectors = groups.testGroups.flatMap(({ tests }) => tests);
const EMPTY_NONCE = "ZeroLengthIv";

describeNative("wycheproof AES-GCM", () => {
  test.skipIf(folder === undefined)("has every key size and many nonce sizes", () => {
    expect(vectors).toHaveLength(316);
    expect(new Set(vectors.map(({ key }) => key.length / 2))).toEqual(new Set([16, 24, 32]));
    expect(new Set(vectors.map(({ iv }) => iv.length / 2)).size).toBeGreaterThan(10);
  });

  for (const [name, number] of kernels) {
    test.each(vectors.map((vector) => [vector.tcId, vector.result, vector] as const))(`${name} %i %s`, (_id, _r, v) => {
      const key = sealingKey(hex(v.key), number);
      const parts = {
        nonce: hex(v.iv),
        aad: hex(v.aad),
        plaintext: hex(v.msg),
        sealed: concat(hex(v.ct), hex(v.tag)),
      };
      if (parts.nonce.length === 0) {
        // SP 800-38D 5.2.1.1: an IV has at least one bit.
        expect([
          EMPTY_NONCE,
          codeOf(addon.seal(key, parts.nonce, parts.aad, parts.plaintext, new Uint8Array(64))),
        ]).toEqual([EMPTY_NONCE, "ERR_INPUT"]);
      } else if (v.result === "valid") {
        sealsEveryWay(key, parts);
        opensEveryWay(key, parts);
      } else {
        refusesEveryWay(key, parts);
      }
      expect(addon.keyDispose(key)).toBe(0);
    });
  }
});

function sealsEveryWay(key: KeyHandle, { nonce, aad, plaintext, sealed }: Parts): void {
  const apart = new Uint8Array(sealed.length);
  expect(addon.seal(key, nonce, aad, plaintext, apart)).toBe(0);
  expectBytes(apart, sealed);
  const place = concat(plaintext, new Uint8Array(16));
  expect(addon.seal(key, nonce, aad, place.subarray(0, plaintext.length), place)).toBe(0);
  expectBytes(place, sealed);
  const [src, dst] = [unaligned(plaintext, 3), unaligned(new Uint8Array(sealed.length), 5)];
  expect(addon.seal(key, unaligned(nonce, 7).view, unaligned(aad, 9).view, src.view, dst.view)).toBe(0);
  expectBytes(dst.view, sealed);
  expect([src.intact(), dst.intact()]).toEqual([true, true]);
  const common = shared(new Uint8Array(sealed.length));
  expect(addon.seal(key, nonce, shared(aad), shared(plaintext), common)).toBe(0);
  expectBytes(common.slice(), sealed);
  if (nonce.length !== 12) return;
  const arena = new Uint8Array(1024 + 2 * sealed.length);
  arena.set(concat(nonce, aad, plaintext), 1);
  const dstAt = 12 + aad.length + plaintext.length + 4;
  expect(addon.sealAt(key, arena, 1, 13, aad.length, 13 + aad.length, plaintext.length, dstAt)).toBe(0);
  expectBytes(arena.subarray(dstAt, dstAt + sealed.length), sealed);
  sealsAsRecord(key, { nonce, aad, plaintext, sealed });
}

function opensEveryWay(key: KeyHandle, { nonce, aad, plaintext, sealed }: Parts): void {
  const bytes = plaintext.length;
  const apart = new Uint8Array(bytes);
  expect(addon.open(key, nonce, aad, sealed, apart)).toBe(1);
  expectBytes(apart, plaintext);
  apart.fill(0xee);
  expect(addon.open(key, nonce, aad, sealed.subarray(0, bytes), apart, sealed.subarray(bytes))).toBe(1);
  expectBytes(apart, plaintext);
  const place = new Uint8Array(sealed);
  expect(addon.open(key, nonce, aad, place, place.subarray(0, bytes))).toBe(1);
  expectBytes(place.subarray(0, bytes), plaintext);
  const [src, dst] = [unaligned(sealed, 11), unaligned(new Uint8Array(bytes), 13)];
  expect(addon.open(key, nonce, aad, src.view, dst.view)).toBe(1);
  expectBytes(dst.view, plaintext);
  expect(dst.intact()).toBe(true);
  const common = shared(new Uint8Array(bytes));
  expect(addon.open(key, nonce, aad, shared(sealed), common)).toBe(1);
  expectBytes(common.slice(), plaintext);
  if (nonce.length !== 12) return;
  const arena = concat(nonce, aad, sealed, new Uint8Array(bytes));
  const [srcAt, dstAt] = [12 + aad.length, 12 + aad.length + sealed.length];
  expect(addon.openAt(key, arena, 0, 12, aad.length, srcAt, bytes, dstAt)).toBe(1);
  expectBytes(arena.subarray(dstAt), plaintext);
}

/** One record among others, with a prefix, with and without associated data. */
function sealsAsRecord(key: KeyHandle, { nonce, aad, plaintext, sealed }: Parts): void {
  const prefix = Uint8Array.of(1, 2, 3, 4, 5);
  const other = Uint8Array.of(9, 9, 9);
  const src = concat(other, plaintext, other);
  const srcOffsets = Uint32Array.of(0, 3, 3 + plaintext.length, 6 + plaintext.length);
  const aads = concat(aad, aad);
  const aadOffsets = Uint32Array.of(0, 0, aad.length, 2 * aad.length);
  const dst = new Uint8Array(src.length + 3 * (5 + 12 + 16));
  const offsets = new Uint32Array(4);
  const nonces = concat(new Uint8Array(12).fill(1), nonce, new Uint8Array(12).fill(2));
  expect(addon.sealRecords(key, 0, prefix, nonces, src, srcOffsets, aads, aadOffsets, dst, offsets)).toBe(0);
  expectBytes(dst.subarray(offsets[1], offsets[2]), concat(prefix, nonce, sealed));
  const opened = new Uint8Array(src.length);
  const status = new Uint8Array(3);
  const openedOffsets = new Uint32Array(4);
  const failed = addon.openRecords(key, 0, prefix, dst, offsets, aads, aadOffsets, opened, openedOffsets, status);
  expect(failed).toBe(0);
  expectBytes(opened, src);
}

function refusesEveryWay(key: KeyHandle, { nonce, aad, sealed }: Parts): void {
  const bytes = sealed.length - 16;
  for (const dst of [new Uint8Array(bytes).fill(0xee), shared(new Uint8Array(bytes).fill(0xee))]) {
    expect(addon.open(key, nonce, aad, sealed, dst)).toBe(0);
    expectBytes(dst.slice(), new Uint8Array(bytes));
  }
  const place = new Uint8Array(sealed);
  expect(addon.open(key, nonce, aad, place, place.subarray(0, bytes))).toBe(0);
  expectBytes(place.subarray(0, bytes), new Uint8Array(bytes));
}
