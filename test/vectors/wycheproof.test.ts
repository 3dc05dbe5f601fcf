/** Project Wycheproof against the primitives that messages and raw keyrings stand on. */

import { createPrivateKey, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { concat } from "../../src/bytes.js";
import { hkdf } from "../../src/engine/openssl.js";
import { gcmOpen, gcmSeal, messageVerifier, rsaOaepDecrypt } from "../../src/engine/primitives.js";
import { SecretBytes } from "../../src/engine/secret-bytes.js";
import type { CurveName, HashName } from "../../src/message/suites.js";
import { expectBytes, hex } from "../kit.js";
import { vectorsDir } from "./locate.js";

const folder = vectorsDir("wycheproof");

/** How many cases the filters below leave: fewer would mean that a filter grew. */
const GCM_CASES = 197;
const HKDF_CASES = { sha256: 29, sha384: 54, sha512: 72 } as const;

interface Group<T> {
  readonly tests: readonly (T & { readonly tcId: number; readonly result: "valid" | "invalid" | "acceptable" })[];
}

function groups<G, T>(name: string): readonly (G & Group<T>)[] {
  return folder === undefined ? [] : JSON.parse(readFileSync(`${folder}/${name}_test.json`, "utf8")).testGroups;
}

describe.skipIf(folder === undefined)("Wycheproof", () => {
  test("AES-GCM, 12-byte nonces and 16-byte tags (SP 800-38D)", () => {
    type Case = { key: string; iv: string; aad: string; msg: string; ct: string; tag: string };
    let count = 0;
    for (const { ivSize, tagSize, tests } of groups<{ ivSize: number; tagSize: number }, Case>("aes_gcm")) {
      if (ivSize !== 96 || tagSize !== 128) continue;
      for (const { key, iv, aad, msg, ct, tag, result } of tests) {
        const secret = SecretBytes.copy(hex(key));
        const sealed = concat(hex(ct), hex(tag));
        const opened = gcmOpen(secret, hex(iv), hex(aad), sealed);
        if (result === "valid") {
          expectBytes(opened as Uint8Array, hex(msg));
          expectBytes(gcmSeal(secret, hex(iv), hex(aad), hex(msg)), sealed);
        } else {
          expect(opened).toBeUndefined();
        }
        count++;
      }
    }
    expect(count).toBe(GCM_CASES);
  });

  test.each<[HashName, number, number]>([
    ["sha256", 32, HKDF_CASES.sha256],
    ["sha384", 48, HKDF_CASES.sha384],
    ["sha512", 64, HKDF_CASES.sha512],
  ])("HKDF %s, outputs of one block (RFC 5869)", (hash, hashBytes, expected) => {
    type Case = { ikm: string; salt: string; info: string; size: number; okm: string };
    const blockBytes = hash === "sha256" ? 64 : 128;
    let count = 0;
    for (const { tests } of groups<object, Case>(`hkdf_${hash}`)) {
      for (const { ikm, salt, info, size, okm, result } of tests) {
        if (result !== "valid" || size > hashBytes || salt.length / 2 > blockBytes) continue;
        const [derived] = hkdf(hash, hex(ikm), hex(salt), [hex(info)], size);
        expectBytes(derived as Uint8Array, hex(okm));
        count++;
      }
    }
    expect(count).toBe(expected);
  });

  test.each([
    ["sha1", 36],
    ["sha256", 37],
  ])("RSA-OAEP 2048 with %s (RFC 8017 7.1)", (hash, expected) => {
    type Case = { msg: string; ct: string; label: string };
    let count = 0;
    for (const { privateKeyPem, tests } of groups<{ privateKeyPem: string }, Case>(
      `rsa_oaep_2048_${hash}_mgf1${hash}`,
    )) {
      const key = createPrivateKey(privateKeyPem);
      for (const { msg, ct, label, result } of tests) {
        const opened = rsaOaepDecrypt(key, hash, hex(ct));
        if (result === "valid" && label === "") expectBytes(opened as Uint8Array, hex(msg));
        else expect(opened).toBeUndefined();
        count++;
      }
    }
    expect(count).toBe(expected);
  });

  test.each<[string, CurveName, number]>([
    ["ecdsa_secp256r1_sha256", "p256", 484],
    ["ecdsa_secp384r1_sha384", "p384", 504],
  ])("%s, DER (FIPS 186-5)", (name, curve, expected) => {
    type Case = { msg: string; sig: string };
    type Key = { publicKey: { uncompressed: string }; publicKeyPem: string };
    let count = 0;
    for (const { publicKey, publicKeyPem, tests } of groups<Key, Case>(name)) {
      const { x, y } = createPublicKey(publicKeyPem).export({ format: "jwk" });
      const odd = (Buffer.from(y as string, "base64url").at(-1) as number) & 1;
      const compressed = concat(Uint8Array.of(2 + odd), Buffer.from(x as string, "base64url"));
      for (const { tcId, msg, sig, result } of tests) {
        for (const point of [hex(publicKey.uncompressed), compressed]) {
          const verifier = messageVerifier(curve, point);
          verifier?.update(hex(msg));
          expect([tcId, verifier?.verifies(hex(sig))]).toEqual([tcId, result === "valid"]);
        }
        count++;
      }
    }
    expect(count).toBe(expected);
  });
});
