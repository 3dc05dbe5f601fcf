/** Known answers for key derivation and commitment: 41 messages open, 5 fail at the commitment. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ascii, concat, u16 } from "../../src/bytes.js";
import { DataKey } from "../../src/engine/data-key.js";
import { hkdf, opensslEngine } from "../../src/engine/openssl.js";
import { decrypt } from "../../src/envelope/decrypt.js";
import { inspect } from "../../src/envelope/inspect.js";
import { decryptStream } from "../../src/envelope/stream.js";
import type { Unwrapper } from "../../src/keyring/port.js";
import { suiteOf } from "../../src/message/suites.js";
import { base64, chunksOf, drain, expectBytes, expectCode, openEveryWay } from "../kit.js";
import { vectorsDir } from "./locate.js";

interface Vector {
  readonly comment: string;
  readonly status: boolean;
  readonly ciphertext: string;
  readonly "decrypted-dek": string;
  readonly commitment: string;
  readonly "message-id": string;
  /** The first 21 show it. */
  readonly "content-encryption-key"?: string;
  readonly "encryption-context": Readonly<Record<string, string>>;
  readonly "plaintext-frames": readonly string[] | null;
}

const folder = vectorsDir("esdk/commitment-kat");
const tests: readonly Vector[] =
  folder === undefined ? [] : JSON.parse(readFileSync(`${folder}/commitment-test-vectors.python.json`, "utf8")).tests;

/** Answers with the data key of the test, whoever wrapped it. */
function staticKeyring(key: string): Unwrapper {
  return { unwrapDataKey: async () => ({ dataKey: DataKey.fromBytes(base64(key)), keyId: "static" }) };
}

describe.skipIf(folder === undefined)("commitment known answers", () => {
  const good = tests.filter(({ status }) => status);
  const bad = tests.filter(({ status }) => !status);
  const derived = good.filter((vector) => vector["content-encryption-key"] !== undefined);

  test("41 open, 5 do not; 16 show the message key", () => {
    expect([good.length, bad.length, derived.length]).toEqual([41, 5, 16]);
  });

  test.each(good.map((vector) => [vector.comment, vector] as const))("opens %s", async (_comment, vector) => {
    const message = base64(vector.ciphertext);
    const plaintext = new TextEncoder().encode((vector["plaintext-frames"] ?? []).join(""));
    const keyring = staticKeyring(vector["decrypted-dek"]);
    const { "aws-crypto-public-key": _signing, ...context } = vector["encryption-context"];
    await openEveryWay(message, plaintext, { keyring, context });
  });

  test.each(good.map((vector) => [vector.comment, vector] as const))("commits as %s", async (_comment, vector) => {
    const header = inspect(base64(vector.ciphertext));
    expectBytes(header.messageId, base64(vector["message-id"]));
    using dataKey = DataKey.fromBytes(base64(vector["decrypted-dek"]));
    const messageKey = await opensslEngine.messageKey(dataKey, suiteOf(header.suite), header.messageId);
    expectBytes(messageKey.commitment as Uint8Array, base64(vector.commitment));
    messageKey.wipe();
  });

  test.each(derived.map((vector) => [vector.comment, vector] as const))("derives the key of %s", (_, vector) => {
    const { suite, messageId } = inspect(base64(vector.ciphertext));
    const infos = [concat(u16(suite), ascii("DERIVEKEY")), ascii("COMMITKEY")];
    const [key, commitment] = hkdf("sha512", base64(vector["decrypted-dek"]), messageId, infos, 32);
    expectBytes(key as Uint8Array, base64(vector["content-encryption-key"] as string));
    expectBytes(commitment as Uint8Array, base64(vector.commitment));
  });

  test.each(bad.map((vector) => [vector.comment, vector] as const))("refuses %s", async (_comment, vector) => {
    const message = base64(vector.ciphertext);
    const keyring = staticKeyring(vector["decrypted-dek"]);
    await expectCode(decrypt(message, { keyring }), "ERR_DECRYPT");
    const stream = decryptStream({ keyring, signed: "verify-at-end" });
    const { bytes, error } = await drain(stream, chunksOf(message, 1));
    expect(bytes).toHaveLength(0);
    await expectCode(Promise.reject(error), "ERR_DECRYPT");
  });
});
