/** Messages of the AWS Encryption SDK for .NET 4 (Dafny): raw AES, raw RSA, multi keyrings, required context. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decrypt } from "../../src/envelope/decrypt.js";
import type { DecryptOptions } from "../../src/envelope/options.js";
import { multiKeyring } from "../../src/keyring/multi.js";
import type { Keyring } from "../../src/keyring/port.js";
import { rawAesKeyring } from "../../src/keyring/raw-aes.js";
import { type RsaPadding, rawRsaKeyring } from "../../src/keyring/raw-rsa.js";
import { aesKeyring, base64, expectCode, flipBit, openEveryWay } from "../kit.js";
import { vectorsDir } from "./locate.js";

interface MasterKey {
  readonly type: string;
  readonly key: string;
  readonly "provider-id": string;
  readonly "encryption-algorithm"?: "aes" | "rsa";
  readonly "padding-hash"?: string;
}

interface Vector {
  readonly ciphertext: string;
  readonly "master-keys": readonly MasterKey[];
  readonly cmm: "Default" | "RequiredEncryptionContext";
  readonly "encryption-context": Readonly<Record<string, string>>;
  readonly result: { readonly output: { readonly plaintext: string } };
}

const folder = vectorsDir("esdk/dafny-v4-Net-4.0.1");

describe.skipIf(folder === undefined)("AWS Encryption SDK for .NET 4.0.1", () => {
  const read = (name: string) => new Uint8Array(readFileSync(`${folder}/${name.replace("file://", "")}`));
  const json = (name: string) => (folder === undefined ? {} : JSON.parse(new TextDecoder().decode(read(name))));
  const tests: Record<string, Vector> = json("manifest.json").tests ?? {};
  const keys: Record<string, { "key-id": string; type: string; material: string }> = json("keys.json").keys ?? {};
  const offline = Object.entries(tests).filter(([, test]) => test["master-keys"].every(({ type }) => type === "raw"));

  function keyringOf(master: MasterKey): Keyring {
    const key = keys[master.key] as (typeof keys)[string];
    const named = { namespace: master["provider-id"], name: key["key-id"] };
    if (master["encryption-algorithm"] === "aes") return rawAesKeyring({ ...named, key: base64(key.material) });
    const padding = `oaep-${master["padding-hash"]}` as RsaPadding;
    const half = key.type === "private" ? { privateKey: key.material } : { publicKey: key.material };
    return rawRsaKeyring({ ...named, ...half, padding });
  }

  function optionsOf(test: Vector): DecryptOptions {
    const [generator, ...children] = test["master-keys"].map(keyringOf) as [Keyring, ...Keyring[]];
    return {
      keyring: multiKeyring(generator, ...children),
      context: test["encryption-context"],
      commitmentPolicy: "REQUIRE_ENCRYPT_ALLOW_DECRYPT",
    };
  }

  test("99 of the 132 need no cloud", () => {
    expect(Object.keys(tests)).toHaveLength(132);
    expect(offline).toHaveLength(99);
    expect(offline.filter(([, test]) => test.cmm === "RequiredEncryptionContext")).toHaveLength(33);
  });

  test.each(offline)("opens %s", async (_name, test) => {
    const message = read(test.ciphertext);
    const ways = await openEveryWay(message, read(test.result.output.plaintext), optionsOf(test));
    expect(ways).toBeGreaterThanOrEqual(5);
  });

  test.each(offline)("refuses %s under a wrong key, a wrong context and a flipped bit", async (_name, test) => {
    const message = read(test.ciphertext);
    const options = optionsOf(test);
    await expectCode(decrypt(message, { ...options, keyring: aesKeyring() }), "ERR_NO_KEYRING_MATCHED");
    await expectCode(decrypt(flipBit(message, 8 * (message.length - 200)), options), "ERR_DECRYPT");
    if (test.cmm === "RequiredEncryptionContext") {
      const { context: _left, ...without } = options;
      await expectCode(decrypt(message, without), "ERR_DECRYPT");
    }
  });
});
