import { createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { WrapFormat } from "../../../src/hsm/port.js";
import { unwrapKey, wrapKey } from "../../../src/hsm/software/key-wrap.js";
import { flipBit } from "./fixtures.js";

const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
const key = (text: string) => createSecretKey(hex(text));

const KEK_256 = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const KNOWN: readonly [title: string, format: WrapFormat, kek: string, secret: string, wrapped: string][] = [
  [
    "RFC 3394 4.1: 128 bits under 128",
    "rfc3394",
    "000102030405060708090a0b0c0d0e0f",
    "00112233445566778899aabbccddeeff",
    "1fa68b0a8112b447 aef34bd8fb5a7b82 9d3e862371d2cfe5",
  ],
  [
    "RFC 3394 4.6: 256 bits under 256",
    "rfc3394",
    KEK_256,
    "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
    "28c9f404c4b810f4 cbccb35cfb87f826 3f5786e2d80ed326 cbc7f0e71a99f43b fb988b9b7a02dd21",
  ],
  [
    "RFC 5649 6: 20 octets under 192",
    "rfc5649",
    "5840df6e29b02af1 ab493b705bf16ea1 ae8338f4dcc176a8",
    "c37b7e6492584340 bed1220780894115 5068f738",
    "138bdeaa9b8fa7fc 61f97742e72248ee 5ae6ae5360d1ae6a 5f54f373fa543b6a",
  ],
  [
    "RFC 5649 6: 7 octets under 192",
    "rfc5649",
    "5840df6e29b02af1 ab493b705bf16ea1 ae8338f4dcc176a8",
    "466f7250617369",
    "afbeb0f07dfbf541 9200f2ccb50bb24f",
  ],
];

describe("known answers", () => {
  it.each(KNOWN)("%s", (_title, format, kek, secret, wrapped) => {
    expect(wrapKey(format, key(kek), hex(secret))).toEqual(hex(wrapped));
    expect(unwrapKey(format, key(kek), hex(wrapped))).toEqual(hex(secret));
  });
});

describe.each(["rfc3394", "rfc5649"] as const)("%s", (format) => {
  const kek = key(KEK_256);
  const secret = hex("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f");
  const other = format === "rfc3394" ? "rfc5649" : "rfc3394";

  it("refuses a blob with any bit flipped", () => {
    const blob = wrapKey(format, kek, secret);
    for (let bit = 0; bit < blob.length * 8; bit++) {
      expect(unwrapKey(format, kek, flipBit(blob, bit >> 3, bit & 7))).toBeUndefined();
    }
  });

  it("refuses a blob of any other length, the other format and another key", () => {
    const blob = wrapKey(format, kek, secret);
    for (let length = 0; length < blob.length; length++) {
      expect(unwrapKey(format, kek, blob.subarray(0, length))).toBeUndefined();
    }
    expect(unwrapKey(format, kek, Buffer.concat([blob, Buffer.alloc(8)]))).toBeUndefined();
    expect(unwrapKey(other, kek, blob)).toBeUndefined();
    expect(unwrapKey(format, createSecretKey(Buffer.alloc(32, 1)), blob)).toBeUndefined();
  });

  it("gives back what it wrapped, at every length it can carry", () => {
    for (let length = 0; length <= 80; length++) {
      const bytes = new Uint8Array(length).fill(length);
      const fits = format === "rfc5649" ? length > 0 : length >= 16 && length % 8 === 0;
      if (fits) expect(unwrapKey(format, kek, wrapKey(format, kek, bytes))).toEqual(bytes);
      else expect(() => wrapKey(format, kek, bytes)).toThrow(expect.objectContaining({ code: "ERR_INPUT" }));
    }
  });
});
