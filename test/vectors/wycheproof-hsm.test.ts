/** Wycheproof against the functions the software token calls: key wrap, HMAC, and the verification of signatures. */

import { createPublicKey, createSecretKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { SigningAlgorithm, WrapFormat } from "../../src/hsm/port.js";
import { unwrapKey, wrapKey } from "../../src/hsm/software/key-wrap.js";
import { hmacSha256, hmacVerifies } from "../../src/hsm/software/secret-key.js";
import { signatureVerifies, verifySignature } from "../../src/hsm/software/signing.js";
import { vectorsDir } from "./locate.js";

interface Vector {
  readonly tcId: number;
  readonly comment: string;
  readonly result: "valid" | "invalid" | "acceptable";
  readonly key: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
  readonly sig: string;
}
interface Group {
  readonly tagSize: number;
  readonly publicKeyDer: string;
  readonly tests: readonly Vector[];
}

const folder = vectorsDir("wycheproof");
const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

function load(name: string): { groups: readonly Group[]; count: number } {
  const file = JSON.parse(readFileSync(`${folder}/${name}_test.json`, "utf8"));
  return { groups: file.testGroups, count: file.numberOfTests };
}

/** Runs `check` on each vector; what fails is listed by number, so that one failure does not hide the rest. */
function every(name: string, check: (vector: Vector, group: Group) => boolean): void {
  const { groups, count } = load(name);
  const wrong: string[] = [];
  let ran = 0;
  for (const group of groups) {
    for (const vector of group.tests) {
      ran++;
      if (!check(vector, group)) wrong.push(`${vector.tcId} ${vector.result}: ${vector.comment}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(ran).toBe(count);
}

describe.skipIf(folder === undefined)("wycheproof", () => {
  it.each<[string, WrapFormat]>([
    ["aes_wrap", "rfc3394"],
    ["aes_kwp", "rfc5649"],
  ])("%s", (name, format) => {
    every(name, ({ key, msg, ct, result }) => {
      const kek = createSecretKey(hex(key));
      const secret = unwrapKey(format, kek, hex(ct));
      if (result !== "valid") return secret === undefined;
      const opens = secret !== undefined && Buffer.from(secret).toString("hex") === msg;
      return opens && Buffer.from(wrapKey(format, kek, hex(msg))).toString("hex") === ct;
    });
  });

  it("hmac_sha256", () => {
    every("hmac_sha256", ({ key, msg, tag, result }, { tagSize }) => {
      const secret = createSecretKey(hex(key));
      const whole = Buffer.from(hmacSha256(secret, hex(msg)));
      const matches = whole.subarray(0, tagSize / 8).equals(Buffer.from(tag, "hex"));
      // A truncated tag is right for its vector, and still never one of ours.
      const verifies = hmacVerifies(secret, hex(msg), hex(tag));
      return matches === (result === "valid") && verifies === (matches && tagSize === 256);
    });
  });

  it.each<[string, SigningAlgorithm]>([
    ["ecdsa_secp256r1_sha256", "ecdsa-p256"],
    ["ecdsa_secp384r1_sha384", "ecdsa-p384"],
    ["ed25519", "ed25519"],
  ])("%s", (name, algorithm) => {
    every(name, ({ msg, sig, result }, { publicKeyDer }) => {
      return verifySignature(algorithm, hex(publicKeyDer), hex(msg), hex(sig)) === (result === "valid");
    });
  });

  it("rsa_pss_2048_sha256_mgf1_32 (our parameters, a smaller key)", () => {
    every("rsa_pss_2048_sha256_mgf1_32", ({ msg, sig, result }, { publicKeyDer }) => {
      const key = createPublicKey({ key: Buffer.from(publicKeyDer, "hex"), format: "der", type: "spki" });
      return signatureVerifies("rsa-pss-3072", key, hex(msg), hex(sig)) === (result === "valid");
    });
  });
});
