import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { concat, u32 } from "../../../src/bytes.js";
import { decrypt } from "../../../src/envelope/decrypt.js";
import { encrypt } from "../../../src/envelope/encrypt.js";
import { inspect } from "../../../src/envelope/inspect.js";
import { multiKeyring } from "../../../src/keyring/multi.js";
import type { Keyring, Unwrapper } from "../../../src/keyring/port.js";
import { type RawAesKeyringOptions, rawAesKeyring } from "../../../src/keyring/raw-aes.js";
import { type RawRsaKeyringOptions, rawRsaKeyring } from "../../../src/keyring/raw-rsa.js";
import type { EncryptedDataKey } from "../../../src/message/header.js";
import { aesKeyring, countingBytes, expectBytes, expectCode, flipBit } from "../../kit.js";

const named = { namespace: "ns", name: "käy" } as const;
const rsa = (bits: number) => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: bits });
  return {
    publicKey: publicKey.export({ format: "pem", type: "spki" }) as string,
    privateKey: privateKey.export({ format: "pem", type: "pkcs8" }) as string,
  };
};
const pair = rsa(2048);

describe("rawAesKeyring", () => {
  test.each([16, 24, 32])("a key of %i bytes seals and opens", async (bytes) => {
    const key = countingBytes(bytes);
    const keyring = rawAesKeyring({ ...named, key });
    key.fill(0);
    const message = await encrypt("x", { keyring, context: { ü: "1", z: "2" } });
    const again = rawAesKeyring({ ...named, key: countingBytes(bytes) });
    const opened = await decrypt(message, { keyring: again });
    expect([opened.text(), opened.keyId]).toEqual(["x", "ns/käy"]);
    const [edk] = inspect(message).encryptedDataKeys;
    expect(edk?.providerId).toBe("ns");
    expectBytes(
      edk?.providerInfo.subarray(0, -12) as Uint8Array,
      concat(new TextEncoder().encode("käy"), u32(128), u32(12)),
    );
    expect(edk?.ciphertext).toHaveLength(48);
  });

  test.each<[string, unknown]>([
    ["hex text", "00".repeat(32)],
    ["base64 text", Buffer.alloc(32).toString("base64")],
    ["the bytes of hex text", Buffer.from("00".repeat(32))],
    ["the bytes of base64 text", Buffer.from(Buffer.alloc(32, 3).toString("base64"))],
    ["no bytes", new Uint8Array(0)],
    ["31 bytes", new Uint8Array(31)],
    ["an ArrayBuffer", new ArrayBuffer(32)],
    ["nothing", undefined],
  ])("a key given as %s: ERR_INPUT, without the key in the message", async (what, key) => {
    const options = { ...named, key } as unknown as RawAesKeyringOptions;
    const error = await expectCode(() => rawAesKeyring(options), "ERR_INPUT");
    if (what.includes("text")) expect(error.message).toContain("decode it");
    expect(error.message).not.toContain("0000");
  });

  test("no options at all: ERR_INPUT", async () => {
    await expectCode(() => rawAesKeyring(undefined as unknown as RawAesKeyringOptions), "ERR_INPUT");
    await expectCode(() => rawRsaKeyring(undefined as unknown as RawRsaKeyringOptions), "ERR_INPUT");
  });

  test("the bytes of 32 hex digits are a key of 32 bytes: nothing can tell", () => {
    rawAesKeyring({ ...named, key: Buffer.from("0123456789abcdef0123456789abcdef") });
  });

  test.each([
    [{ namespace: "" }],
    [{ namespace: "aws-kms" }],
    [{ namespace: "aws-kms-hierarchy" }],
    [{ namespace: "keyladder" }],
    [{ name: "" }],
    [{ name: 5 }],
    [{ namespace: undefined }],
    [{ name: "\ud800" }],
    [{ name: "x".repeat(65536) }],
  ])("%o: ERR_INPUT", async (wrong) => {
    const options = { ...named, key: new Uint8Array(32), ...wrong } as unknown as RawAesKeyringOptions;
    await expectCode(() => rawAesKeyring(options), "ERR_INPUT");
  });

  test("another name or namespace is not its own; another key, context or a flipped bit does not open", async () => {
    const key = countingBytes(32);
    const message = await encrypt("x", { keyring: rawAesKeyring({ ...named, key }), context: { a: "1" } });
    const opening = (more: Partial<RawAesKeyringOptions>) => ({ keyring: rawAesKeyring({ ...named, key, ...more }) });
    await expectCode(decrypt(message, opening({ name: "käyx" })), "ERR_NO_KEYRING_MATCHED");
    await expectCode(decrypt(message, opening({ name: "kä" })), "ERR_NO_KEYRING_MATCHED");
    await expectCode(decrypt(message, opening({ namespace: "nx" })), "ERR_NO_KEYRING_MATCHED");
    await expectCode(decrypt(message, opening({ key: flipBit(key, 255) })), "ERR_DECRYPT");
    expect((await decrypt(message, opening({}))).text()).toBe("x");
  });
});

test("rawAesKeyring: a provider info of another length is another key's", async () => {
  const keyring = rawAesKeyring({ ...named, key: countingBytes(32) });
  const [edk] = inspect(await encrypt("x", { keyring })).encryptedDataKeys as [EncryptedDataKey];
  const request = { suite: 0x0478, dataKeyBytes: 32, context: {}, contextBytes: new Uint8Array(0) } as const;
  const asked = (providerInfo: Uint8Array) =>
    keyring.unwrapDataKey({ ...request, encryptedDataKeys: [{ ...edk, providerInfo }] });
  expect(await asked(edk.providerInfo)).toBeDefined();
  expect(await asked(edk.providerInfo.subarray(1))).toBeUndefined();
  expect(await asked(edk.providerInfo.subarray(0, -1))).toBeUndefined();
  expect(await asked(concat(edk.providerInfo, Uint8Array.of(0)))).toBeUndefined();
});

describe("rawRsaKeyring", () => {
  test.each(["oaep-sha1", "oaep-sha256", "oaep-sha384", "oaep-sha512"] as const)(
    "%s seals and opens",
    async (padding) => {
      const keyring = rawRsaKeyring({ ...named, ...pair, padding });
      const message = await encrypt("x", { keyring });
      const opened = await decrypt(message, {
        keyring: rawRsaKeyring({ ...named, privateKey: pair.privateKey, padding }),
      });
      expect([opened.text(), opened.keyId]).toEqual(["x", "ns/käy"]);
      const other = padding === "oaep-sha1" ? "oaep-sha256" : "oaep-sha1";
      await expectCode(
        decrypt(message, { keyring: rawRsaKeyring({ ...named, ...pair, padding: other }) }),
        "ERR_DECRYPT",
      );
    },
  );

  test("half a pair does half", async () => {
    const sealing = rawRsaKeyring({ ...named, publicKey: pair.publicKey, padding: "oaep-sha256" });
    const opening = rawRsaKeyring({ ...named, privateKey: pair.privateKey, padding: "oaep-sha256" });
    const message = await encrypt("x", { keyring: sealing });
    await expectCode(decrypt(message, { keyring: sealing }), "ERR_NO_KEYRING_MATCHED");
    await expectCode(encrypt("x", { keyring: opening }), "ERR_INPUT");
    const error = await expectCode(encrypt("x", { keyring: opening }), "ERR_INPUT");
    expect(error.message).toContain("publicKey");
  });

  test("pkcs1 never seals", async () => {
    const keyring = rawRsaKeyring({ ...named, ...pair, padding: "pkcs1" });
    await expectCode(encrypt("x", { keyring }), "ERR_INPUT");
    await expectCode(encrypt("x", { keyring: multiKeyring(aesKeyring(), keyring) }), "ERR_INPUT");
  });

  const ec = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const pkcs1 = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  test.each<[string, object]>([
    ["neither key", {}],
    ["an unknown padding", { ...pair, padding: "oaep" }],
    ["a padding from the prototype", { ...pair, padding: "constructor" }],
    ["a public key as private key", { privateKey: pair.publicKey }],
    ["a private key as public key", { publicKey: pair.privateKey }],
    ["a PKCS#1 private key", { privateKey: pkcs1.export({ format: "pem", type: "pkcs1" }) }],
    ["an EC key", { publicKey: ec.publicKey.export({ format: "pem", type: "spki" }) }],
    ["a key of 1024 bits", { publicKey: rsa(1024).publicKey }],
    ["rubbish between the lines", { publicKey: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----" }],
    ["bytes", { publicKey: Buffer.from(pair.publicKey) }],
  ])("%s: ERR_INPUT", async (_what, wrong) => {
    const options = { ...named, padding: "oaep-sha256", ...wrong } as RawRsaKeyringOptions;
    const error = await expectCode(() => rawRsaKeyring(options), "ERR_INPUT");
    expect(error.cause).toBeUndefined();
  });
});

describe("multiKeyring", () => {
  const [a, b] = [aesKeyring(1, "a"), aesKeyring(2, "b")];
  const c = rawRsaKeyring({ ...named, ...pair, padding: "oaep-sha256" });

  test("each of its keyrings opens the message, also through another multi keyring", async () => {
    for (const suite of [0x0478, 0x0578] as const) {
      const message = await encrypt("x", { keyring: multiKeyring(a, b, c), suite });
      expect(inspect(message).encryptedDataKeys).toHaveLength(3);
      for (const [keyring, keyId] of [
        [a, "test/a"],
        [b, "test/b"],
        [c, "ns/käy"],
        [multiKeyring(aesKeyring(3, "z"), c), "ns/käy"],
        [multiKeyring(c, multiKeyring(b)), "ns/käy"],
      ] as const) {
        expect((await decrypt(message, { keyring })).keyId).toBe(keyId);
      }
      await expectCode(decrypt(message, { keyring: aesKeyring(1, "z") }), "ERR_NO_KEYRING_MATCHED");
    }
  });

  test("one that fails does not stop the next; what can be mended is told first", async () => {
    const message = await encrypt("x", { keyring: multiKeyring(a, b) });
    const wrong = aesKeyring(9, "a");
    expect((await decrypt(message, { keyring: multiKeyring(wrong, b) })).keyId).toBe("test/b");
    await expectCode(decrypt(message, { keyring: multiKeyring(wrong, aesKeyring(9, "b")) }), "ERR_DECRYPT");
    const away = new RangeError("the HSM is away");
    const failing: Keyring = {
      generateDataKey: (request) => a.generateDataKey(request),
      wrapDataKey: () => Promise.reject(away),
      unwrapDataKey: () => Promise.reject(away),
    };
    expect((await decrypt(message, { keyring: multiKeyring(failing, b) })).keyId).toBe("test/b");
    await expect(decrypt(message, { keyring: multiKeyring(wrong, failing) })).rejects.toBe(away);
    await expect(encrypt("x", { keyring: multiKeyring(a, failing) })).rejects.toBe(away);
  });

  test("every child must be able to wrap", async () => {
    const opener: Unwrapper = { unwrapDataKey: async () => undefined };
    for (const wrong of [undefined, null, {}, opener]) {
      await expectCode(() => multiKeyring(wrong as unknown as Keyring), "ERR_INPUT");
      await expectCode(() => multiKeyring(a, wrong as unknown as Keyring), "ERR_INPUT");
    }
  });
});
