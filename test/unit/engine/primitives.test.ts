import { constants, createPrivateKey, generateKeyPairSync, publicEncrypt } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  gcmOpen,
  gcmSeal,
  messageSigner,
  messageVerifier,
  randomId,
  rsaOaepDecrypt,
  rsaOaepEncrypt,
  rsaPkcs1Decrypt,
} from "../../../src/engine/primitives.js";
import { SecretBytes } from "../../../src/engine/secret-bytes.js";
import { countingBytes, expectBytes, flipBit, hex } from "../../kit.js";

describe("AES-GCM, SP 800-38D", () => {
  const key = SecretBytes.copy(hex("feffe9928665731c6d6a8f9467308308"));
  const nonce = hex("cafebabefacedbaddecaf888");
  const aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const plaintext = hex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
  );
  const sealed = hex(
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
  );

  test("test case 4: seals and opens", () => {
    expectBytes(gcmSeal(key, nonce, aad, plaintext), sealed);
    expectBytes(gcmOpen(key, nonce, aad, sealed) as Uint8Array, plaintext);
  });

  test("one flipped bit anywhere, another nonce or another aad does not open", () => {
    for (let bit = 0; bit < 8 * sealed.length; bit += 7) {
      expect(gcmOpen(key, nonce, aad, flipBit(sealed, bit))).toBeUndefined();
    }
    expect(gcmOpen(key, flipBit(nonce, 3), aad, sealed)).toBeUndefined();
    expect(gcmOpen(key, nonce, flipBit(aad, 3), sealed)).toBeUndefined();
  });

  test("a tag cut short, or a nonce of another length, does not open", () => {
    expect(gcmOpen(key, nonce, aad, sealed.subarray(0, 15))).toBeUndefined();
    expect(gcmOpen(key, nonce.subarray(1), aad, sealed)).toBeUndefined();
    expect(gcmOpen(key, nonce, aad, new Uint8Array(0))).toBeUndefined();
  });
});

describe.each([
  ["p256", 33],
  ["p384", 49],
] as const)("ECDSA %s", (curve, pointBytes) => {
  test("a message signed in pieces verifies in other pieces", () => {
    const signer = messageSigner(curve);
    expect(signer.publicKey).toHaveLength(pointBytes);
    const data = countingBytes(100);
    signer.update(data.subarray(0, 33));
    signer.update(data.subarray(33));
    const signature = signer.sign();
    const verify = (bytes: Uint8Array, sig: Uint8Array) => {
      const verifier = messageVerifier(curve, signer.publicKey);
      verifier?.update(bytes);
      return verifier?.verifies(sig);
    };
    expect(verify(data, signature)).toBe(true);
    expect(verify(flipBit(data, 5), signature)).toBe(false);
    expect(verify(data, signature.subarray(1))).toBe(false);
    expect(verify(data, new Uint8Array(0))).toBe(false);
  });

  test("what is no point of the curve is refused", () => {
    const { publicKey } = messageSigner(curve);
    const other = messageSigner(curve === "p256" ? "p384" : "p256").publicKey;
    for (const bytes of [
      new Uint8Array(0),
      Uint8Array.of(0),
      other,
      publicKey.subarray(1),
      new Uint8Array(pointBytes),
    ]) {
      expect(messageVerifier(curve, bytes)).toBeUndefined();
    }
    const offCurve = new Uint8Array(2 * pointBytes - 1).fill(1);
    offCurve[0] = 4;
    expect(messageVerifier(curve, offCurve)).toBeUndefined();
  });
});

describe("RSA", () => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const secret = new Uint8Array(32).fill(9);

  test.each(["sha1", "sha256", "sha384", "sha512"])("OAEP with %s opens what it sealed, nothing else", (hash) => {
    const sealed = rsaOaepEncrypt(publicKey, hash, countingBytes(32));
    expectBytes(rsaOaepDecrypt(privateKey, hash, sealed) as Uint8Array, countingBytes(32));
    expect(rsaOaepDecrypt(privateKey, hash, flipBit(sealed, 100))).toBeUndefined();
    expect(rsaOaepDecrypt(privateKey, hash === "sha1" ? "sha256" : "sha1", sealed)).toBeUndefined();
    expect(rsaOaepDecrypt(privateKey, hash, sealed.subarray(1))).toBeUndefined();
  });

  test("OAEP wants the modulus's length, also of a ciphertext that begins with zero (RFC 8017 7.1.2)", () => {
    let sealed = rsaOaepEncrypt(publicKey, "sha256", countingBytes(32));
    while (sealed[0] !== 0) sealed = rsaOaepEncrypt(publicKey, "sha256", countingBytes(32));
    expectBytes(rsaOaepDecrypt(privateKey, "sha256", sealed) as Uint8Array, countingBytes(32));
    expect(rsaOaepDecrypt(privateKey, "sha256", sealed.subarray(1))).toBeUndefined();
  });

  test.each([16, 24, 32])("PKCS#1 v1.5 opens a key of %i bytes (RFC 8017 7.2.2)", (bytes) => {
    const key = countingBytes(bytes);
    const sealed = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, key);
    expectBytes(rsaPkcs1Decrypt(privateKey, secret, sealed, bytes), key);
  });

  /** A block as an attacker makes it: encrypted without padding. */
  const raw = (block: Uint8Array) => publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, block);

  function block(change: (block: Uint8Array) => void): Uint8Array {
    const bytes = new Uint8Array(256).fill(0x55);
    bytes[0] = 0;
    bytes[1] = 2;
    bytes[223] = 0;
    bytes.set(countingBytes(32), 224);
    change(bytes);
    return raw(bytes);
  }

  test.each<[string, (block: Uint8Array) => void]>([
    ["block type 1", (b) => b.fill(1, 1, 2)],
    ["block type 0", (b) => b.fill(0, 1, 2)],
    ["a first byte that is not zero", (b) => b.fill(1, 0, 1)],
    ["a zero at the start of the padding", (b) => b.fill(0, 2, 3)],
    ["a zero at the end of the padding", (b) => b.fill(0, 222, 223)],
    ["no separator", (b) => b.fill(7, 223, 224)],
    ["a key one byte shorter", (b) => b.set([0x55, 0], 223)],
  ])("PKCS#1 v1.5 with %s gives a key of its own, always the same", (_what, change) => {
    const sealed = block(change);
    const rejected = rsaPkcs1Decrypt(privateKey, secret, sealed, 32);
    expect(rejected).toHaveLength(32);
    expect(rejected).not.toEqual(countingBytes(32));
    expect(rsaPkcs1Decrypt(privateKey, secret, sealed, 32)).toEqual(rejected);
    expect(rsaPkcs1Decrypt(privateKey, new Uint8Array(32), sealed, 32)).not.toEqual(rejected);
  });

  test("PKCS#1 v1.5: the block that all these were made from is good", () => {
    expectBytes(
      rsaPkcs1Decrypt(
        privateKey,
        secret,
        block(() => undefined),
        32,
      ),
      countingBytes(32),
    );
  });

  test("PKCS#1 v1.5: a ciphertext of a wrong length, or not below the modulus, is rejected the same way", () => {
    for (const sealed of [new Uint8Array(0), new Uint8Array(255), new Uint8Array(257), new Uint8Array(256).fill(255)]) {
      expect(rsaPkcs1Decrypt(privateKey, secret, sealed, 32)).toHaveLength(32);
    }
  });

  test("PKCS#1 v1.5 of a 4096-bit key", () => {
    const big = generateKeyPairSync("rsa", { modulusLength: 4096 });
    const key = countingBytes(32);
    const sealed = publicEncrypt({ key: big.publicKey, padding: constants.RSA_PKCS1_PADDING }, key);
    const pem = big.privateKey.export({ format: "pem", type: "pkcs8" });
    expectBytes(rsaPkcs1Decrypt(createPrivateKey(pem), secret, sealed, 32), key);
  });
});

test("ids are drawn in bulk and never twice", () => {
  const seen = new Set<string>();
  for (let i = 0; i < 2000; i++) seen.add(Buffer.from(randomId(32)).toString("hex"));
  expect(seen.size).toBe(2000);
  expect(randomId(32).buffer.byteLength).toBe(32);
});
