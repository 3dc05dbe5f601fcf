/** Fixtures of the AWS Encryption SDK for JavaScript: what must open, and what must not. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { concat } from "../../src/bytes.js";
import { DataKey } from "../../src/engine/data-key.js";
import { hkdf } from "../../src/engine/openssl.js";
import { decrypt } from "../../src/envelope/decrypt.js";
import { inspect } from "../../src/envelope/inspect.js";
import { decryptStream } from "../../src/envelope/stream.js";
import type { ErrorCode } from "../../src/errors.js";
import type { Unwrapper } from "../../src/keyring/port.js";
import { rawAesKeyring } from "../../src/keyring/raw-aes.js";
import { parseContext, serializeContext } from "../../src/message/context.js";
import type { HashName } from "../../src/message/suites.js";
import { base64, chunksOf, drain, expectBytes, expectCode, hex, openEveryWay } from "../kit.js";
import { vectorsDir } from "./locate.js";

const folder = vectorsDir("esdk/js-fixtures");
const json = (name: string) => (folder === undefined ? {} : JSON.parse(readFileSync(`${folder}/${name}`, "utf8")));

/** The data key of these messages is all zeros. */
const keyring: Unwrapper = {
  unwrapDataKey: async ({ dataKeyBytes }) => ({
    dataKey: DataKey.fromBytes(new Uint8Array(dataKeyBytes)),
    keyId: "zero",
  }),
};
const options = { keyring, commitmentPolicy: "REQUIRE_ENCRYPT_ALLOW_DECRYPT" } as const;

describe.skipIf(folder === undefined)("AWS Encryption SDK for JavaScript: messages", () => {
  const fixtures: Record<string, string> = json("decrypt-node.fixtures.json");
  const message = (name: string) => base64(fixtures[name] as string);
  const SIGNED = "lgAes256GcmIv12Tag16HkdfSha384EcdsaP384";

  test("a signed message of many frames opens", async () => {
    const plaintext = base64(fixtures.base64Plaintext as string);
    await openEveryWay(message(`base64CiphertextA${SIGNED}`), plaintext, {
      ...options,
      context: { simple: "context" },
    });
  });

  test("an invalid signature is refused, at the end", async () => {
    const bad = message(`invalidSignatureCiphertextA${SIGNED}`);
    await expectCode(decrypt(bad, options), "ERR_DECRYPT");
    for (const lengths of [[bad.length], [1]]) {
      const stream = decryptStream({ ...options, signed: "verify-at-end" });
      const { error } = await drain(stream, chunksOf(bad, ...lengths));
      await expectCode(Promise.reject(error), "ERR_DECRYPT");
    }
  });

  test.each([
    ["base64CiphertextAlgAes256GcmIv12Tag16HkdfWith4Frames", "asdf"],
    [`base64CiphertextA${SIGNED}With4Frames`, "asdf"],
    ["base64Ciphertext4BytesWith4KFrameLength", "asdf"],
    ["twoEdksMessage", "asdf"],
    ["threeEdksMessage", "asdf"],
    ["fourEdksMessage", "asdf"],
  ])("opens %s", async (name, plaintext) => {
    await openEveryWay(message(name), new TextEncoder().encode(plaintext), options);
  });

  test("three frames of 16384 bytes open", async () => {
    const { plaintext } = await decrypt(message("base64CiphertextAlgAes256GcmIv12Tag16Hkdf3FrameLength16384"), options);
    expect(plaintext.length).toBeGreaterThan(2 * 16384);
  });

  test("frames out of order are refused", async () => {
    await expectCode(decrypt(message("frameSequenceOutOfOrder"), options), "ERR_FORMAT");
    const stream = decryptStream(options);
    const { bytes, error } = await drain(stream, chunksOf(message("frameSequenceOutOfOrder"), 1));
    expect(bytes).toHaveLength(0);
    await expectCode(Promise.reject(error), "ERR_FORMAT");
  });

  test.each([
    ["twoEdksMessage", 2, ["key1", "key0"]],
    ["threeEdksMessage", 3, ["key2", "key0", "key1"]],
    ["fourEdksMessage", 4, ["key3", "key0", "key2", "key1"]],
  ] as const)("%s: each of its %i keys opens it, and the limit counts them", async (name, count, keys) => {
    const bytes = message(name);
    for (const key of keys) {
      const named = rawAesKeyring({ namespace: "temp", name: key, key: new Uint8Array(16) });
      const opened = await decrypt(bytes, { ...options, keyring: named, maxEncryptedDataKeys: count });
      expect([opened.text(), opened.keyId]).toEqual(["asdf", `temp/${key}`]);
    }
    await expectCode(decrypt(bytes, { ...options, maxEncryptedDataKeys: count - 1 }), "ERR_LIMIT_DATA_KEYS");
  });
});

describe.skipIf(folder === undefined)("AWS Encryption SDK for JavaScript: headers", () => {
  const fixtures: Record<string, string> = json("serialize.fixtures.json");
  const auth = new Uint8Array(28);
  const header = (name: string) => concat(hex(fixtures[name] as string), auth);

  test.each([
    ["basicMessageHeader", 2],
    ["zeroByteEncryptionContextMessageHeader", 0],
  ])("%s parses", (name, pairs) => {
    const parsed = inspect(header(name));
    expect(Object.keys(parsed.context)).toHaveLength(pairs);
    expect(parsed.encryptedDataKeys.map(({ providerId }) => providerId)).toEqual(["½ + ¼ = ¾", "½ + ¼ = ¾"]);
    expect(new TextDecoder().decode(parsed.encryptedDataKeys[1]?.providerInfo)).toBe("secondKey");
    expect([...(parsed.encryptedDataKeys[1]?.ciphertext ?? [])]).toEqual([6, 7, 8, 9, 0]);
    expect([parsed.suite, parsed.frameBytes]).toEqual([0x0014, 4096]);
  });

  test("basicV2MessageHeader parses", () => {
    const parsed = inspect(hex(fixtures.basicV2MessageHeader as string));
    expect([parsed.version, parsed.suite, parsed.encryptedDataKeys.length]).toEqual([2, 0x0478, 1]);
  });

  test.each<[string, ErrorCode]>([
    ["suiteIdNotValidMessageHeader", "ERR_FORMAT"],
    ["versionNotValidMessageHeader", "ERR_UNSUPPORTED_VERSION"],
    ["typeNotValidMessageHeader", "ERR_FORMAT"],
    ["base64MessageHeader", "ERR_LOOKS_LIKE_BASE64"],
    ["reservedBytesNoZeroMessageHeader", "ERR_FORMAT"],
    ["ivLengthMismatchMessageHeader", "ERR_FORMAT"],
    ["threeEdksMessagePartialHeaderV1", "ERR_TRUNCATED"],
    ["threeEdksMessagePartialHeaderV2", "ERR_TRUNCATED"],
  ])("%s: %s", async (name, code) => {
    const bytes = name.includes("Partial") ? hex(fixtures[name] as string) : header(name);
    await expectCode(() => inspect(bytes), code);
  });

  test.each(["threeEdksMessagePartialHeaderV1", "threeEdksMessagePartialHeaderV2"])(
    "%s: too many keys show before they are there",
    async (name) => {
      const bytes = hex(fixtures[name] as string);
      await expectCode(decrypt(bytes, { ...options, maxEncryptedDataKeys: 2 }), "ERR_LIMIT_DATA_KEYS");
    },
  );

  test.each(["basicEncryptionContext", "encryptionContextWithHighUtf8CodePoint", "hasOwnPropertyEncryptionContext"])(
    "%s parses, and serialises to the same bytes",
    (name) => {
      const bytes = hex(fixtures[name] as string).subarray(2);
      expectBytes(serializeContext(parseContext(bytes, 0)), bytes);
    },
  );

  test.each(["missingDataEncryptionContext", "tooMuchDataEncryptionContext", "duplicateKeysEncryptionContext"])(
    "%s is refused",
    async (name) => {
      await expectCode(() => parseContext(hex(fixtures[name] as string).subarray(2), 0), "ERR_FORMAT");
    },
  );
});

describe.skipIf(folder === undefined)("HKDF, RFC 5869", () => {
  interface Vector {
    readonly testName: string;
    readonly whichSha: HashName;
    readonly ikm: string;
    readonly salt?: string;
    readonly info?: string;
    readonly okmDesired: string;
  }
  const BLOCK_BYTES = { sha256: 64, sha384: 128, sha512: 128 } as const;
  const HASH_BYTES = { sha256: 32, sha384: 48, sha512: 64 } as const;
  const all: readonly Vector[] = folder === undefined ? [] : json("hkdf.vectors.json");
  const fitting = all.filter(({ whichSha, salt }) => (salt ?? "").length / 2 <= BLOCK_BYTES[whichSha]);

  test("6 of the 7 have a salt of at most one block", () => {
    expect([all.length, fitting.length]).toEqual([7, 6]);
  });

  test.each(fitting.map((vector) => [vector.testName, vector] as const))("first block of %s", (_name, vector) => {
    const bytes = Math.min(HASH_BYTES[vector.whichSha], vector.okmDesired.length / 2);
    const salt = hex(vector.salt ?? "");
    const [okm] = hkdf(vector.whichSha, hex(vector.ikm), salt, [hex(vector.info ?? "")], bytes);
    expectBytes(okm as Uint8Array, hex(vector.okmDesired).subarray(0, bytes));
  });
});
