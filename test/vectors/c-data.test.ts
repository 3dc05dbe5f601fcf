/** Messages and encrypted data keys of the AWS Encryption SDK for C. */

import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DataKey, useDataKey } from "../../src/engine/data-key.js";
import { rsaOaepDecrypt, rsaPkcs1Decrypt } from "../../src/engine/primitives.js";
import { decrypt } from "../../src/envelope/decrypt.js";
import { inspect } from "../../src/envelope/inspect.js";
import type { UnwrappedDataKey, Unwrapper } from "../../src/keyring/port.js";
import { rawAesKeyring } from "../../src/keyring/raw-aes.js";
import { rawRsaKeyring } from "../../src/keyring/raw-rsa.js";
import { serializeContext } from "../../src/message/context.js";
import { base64, expectBytes, expectCode, hex, openEveryWay } from "../kit.js";
import { vectorsDir } from "./locate.js";

interface MessageVector {
  readonly name: string;
  readonly plaintext_b64: string;
  readonly ciphertext_b64: string;
}

const folder = vectorsDir("esdk/c-data");
const read = (name: string) => new Uint8Array(readFileSync(`${folder}/${name}`));
const json = (name: string) => JSON.parse(readFileSync(`${folder}/${name}`, "utf8"));

/** The data key of these messages is all zeros. */
const zeroKeyring: Unwrapper = {
  unwrapDataKey: async ({ dataKeyBytes }) => ({
    dataKey: DataKey.fromBytes(new Uint8Array(dataKeyBytes)),
    keyId: "zero",
  }),
};
const zeroOptions = { keyring: zeroKeyring, commitmentPolicy: "REQUIRE_ENCRYPT_ALLOW_DECRYPT" } as const;

describe.skipIf(folder === undefined)("AWS Encryption SDK for C: messages", () => {
  const vectors: readonly MessageVector[] = folder === undefined ? [] : json("decryption_vectors.json").vectors;

  test("45 messages: nine suites, five shapes each", () => {
    expect(vectors).toHaveLength(45);
    expect(vectors.filter(({ name }) => name.endsWith("unframed"))).toHaveLength(9);
    expect(vectors.filter(({ name }) => name.endsWith("one byte frames"))).toHaveLength(9);
    expect(vectors.filter(({ name }) => name.endsWith("empty final frame"))).toHaveLength(9);
  });

  test.each(vectors.map((vector) => [vector.name, vector] as const))("opens %s", async (name, vector) => {
    const message = base64(vector.ciphertext_b64);
    expect(inspect(message).frameBytes === 0).toBe(name.endsWith("unframed"));
    await openEveryWay(message, base64(vector.plaintext_b64), zeroOptions);
  });

  test.each([
    ["hello.bin", "hello.bin.pt"],
    ["hello.tinyframes.bin", "hello.bin.pt"],
    ["ct_x_aes128_hkdf.bin", "pt_x_aes128_hkdf.bin"],
  ])("opens %s", async (message, plaintext) => {
    await openEveryWay(read(message), read(plaintext), zeroOptions);
  });

  test("a damaged header is refused", async () => {
    await expectCode(decrypt(read("ct_x_aes128_hkdf_bad_header.bin"), zeroOptions), "ERR_FORMAT");
  });

  test("good and bad commitment", async () => {
    const dek = hex("fa9ebec213d5c3d90ead82d914c4412769fa5658ba4ffed39230e8b92fb6e6cd");
    const keyring: Unwrapper = {
      unwrapDataKey: async () => ({ dataKey: DataKey.fromBytes(new Uint8Array(dek)), keyId: "static" }),
    };
    await openEveryWay(read("ct_good_commitment.bin"), read("good_commitment.pt"), { keyring });
    await expectCode(decrypt(read("ct_bad_commitment.bin"), { keyring }), "ERR_DECRYPT");
  });
});

describe.skipIf(folder === undefined)("AWS Encryption SDK for C: encrypted data keys", () => {
  const { raw_aes: aes, raw_rsa: rsa } = folder === undefined ? { raw_aes: {}, raw_rsa: {} } : json("edk_vectors.json");

  test.each([
    [0, 32, 0x0078],
    [1, 24, 0x0078],
    [2, 16, 0x0014],
  ] as const)("raw AES vector %i: a %i-byte wrapping key", async (index, keyBytes, suite) => {
    const named = { namespace: aes.provider_id, name: aes.master_key_id };
    const expected = hex(aes.arrays[`tv_${index}_data_key`]);
    const context = aes.encryption_contexts[index];
    const prefix = `${Buffer.from(aes.master_key_id).toString("hex")}000000800000000c`;
    const edk = {
      providerId: aes.provider_id,
      providerInfo: hex(prefix + aes.arrays[`tv_${index}_iv`]),
      ciphertext: hex(aes.arrays[`tv_${index}_edk_bytes`]),
    };
    const request = {
      suite,
      dataKeyBytes: expected.length as 32,
      context,
      contextBytes: serializeContext(context),
      encryptedDataKeys: [edk],
    };
    const key = hex(aes.wrapping_key_hex).subarray(0, keyBytes);
    const unwrapped = await rawAesKeyring({ ...named, key }).unwrapDataKey(request);
    expectBytes(
      useDataKey((unwrapped as UnwrappedDataKey).dataKey, (bytes) => new Uint8Array(bytes)),
      expected,
    );
    const other = rawAesKeyring({ ...named, key: new Uint8Array(keyBytes) });
    await expectCode(other.unwrapDataKey(request), "ERR_DECRYPT");
    const stranger = rawAesKeyring({ ...named, name: "stranger", key });
    expect(await stranger.unwrapDataKey(request)).toBeUndefined();
  });

  test("raw RSA: the vectors' 1024-bit key is refused by the keyring", async () => {
    const privateKey = rsa.pems.raw_rsa_keyring_tv_private_key;
    const options = { namespace: "n", name: "k", privateKey, padding: "oaep-sha1" } as const;
    await expectCode(() => rawRsaKeyring(options), "ERR_INPUT");
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8])("raw RSA vector %i opens with the primitive", (index) => {
    const key = createPrivateKey(rsa.pems.raw_rsa_keyring_tv_private_key);
    const ciphertext = hex(rsa.arrays[`tv_${index}_edk_bytes`]);
    const expected = hex(rsa.arrays[`tv_${index}_data_key`]);
    const padding: string = rsa.padding[index];
    const opened = padding.endsWith("PKCS1")
      ? rsaPkcs1Decrypt(key, new Uint8Array(32), ciphertext, expected.length)
      : rsaOaepDecrypt(key, padding.includes("SHA256") ? "sha256" : "sha1", ciphertext);
    expectBytes(opened as Uint8Array, expected);
  });
});
