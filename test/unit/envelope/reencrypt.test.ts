import { describe, expect, test } from "vitest";
import { decrypt } from "../../../src/envelope/decrypt.js";
import { encrypt } from "../../../src/envelope/encrypt.js";
import { inspect } from "../../../src/envelope/inspect.js";
import { reencrypt } from "../../../src/envelope/reencrypt.js";
import { suiteOf } from "../../../src/message/suites.js";
import { forge, forgeOptions } from "../../forge.js";
import { aesKeyring, countingBytes, expectBytes, expectCode, failureOf } from "../../kit.js";

const [from, to] = [aesKeyring(1, "old"), aesKeyring(2, "new")];
const plaintext = countingBytes(100);

describe("reencrypt", () => {
  test("a fresh id and data key, the same plaintext, context, frames and signing", async () => {
    for (const suite of [0x0478, 0x0578] as const) {
      const old = await encrypt(plaintext, { keyring: from, suite, frameBytes: 16, context: { tenant: "acme" } });
      const renewed = await reencrypt(old, { from, to, context: { tenant: "acme" } });
      const [before, after] = [inspect(old), inspect(renewed)];
      expect(after.messageId).not.toEqual(before.messageId);
      expect(after.encryptedDataKeys).not.toEqual(before.encryptedDataKeys);
      expect([after.suite, after.frameBytes]).toEqual([suite, 16]);
      const opened = await decrypt(renewed, { keyring: to, context: { tenant: "acme" } });
      expectBytes(opened.plaintext, plaintext);
      await expectCode(decrypt(renewed, { keyring: from }), "ERR_NO_KEYRING_MATCHED");
    }
  });

  test("pairs bound without being stored stay so", async () => {
    const context = { tenant: "acme", row: "17" };
    const old = await encrypt(plaintext, { keyring: from, context, requiredContext: ["tenant"] });
    const renewed = await reencrypt(old, { from, to, context });
    expect(Buffer.from(renewed).includes("acme")).toBe(false);
    expect({ ...inspect(renewed).context }).toEqual({ row: "17" });
    expectBytes((await decrypt(renewed, { keyring: to, context })).plaintext, plaintext);
    await expectCode(decrypt(renewed, { keyring: to }), "ERR_DECRYPT");
    const stored = await reencrypt(old, { from, to, context, requiredContext: [] });
    expect({ ...inspect(stored).context }).toEqual(context);
  });

  test("an old suite becomes one that commits", async () => {
    for (const [id, expected] of [
      [0x0178, 0x0478],
      [0x0378, 0x0578],
      [0x0214, 0x0578],
    ] as const) {
      const old = forge({ suite: suiteOf(id), plaintext, frameBytes: 0, context: { a: "1" } });
      const renewed = await reencrypt(old, {
        from: forgeOptions.keyring,
        to,
        commitmentPolicy: "REQUIRE_ENCRYPT_ALLOW_DECRYPT",
      });
      expect([inspect(renewed).suite, inspect(renewed).frameBytes]).toEqual([expected, 4096]);
      expectBytes((await decrypt(renewed, { keyring: to, context: { a: "1" } })).plaintext, plaintext);
    }
  });

  test("what is named is taken", async () => {
    const old = await encrypt(plaintext, { keyring: from, suite: 0x0578 });
    const renewed = await reencrypt(old, { from, to, suite: 0x0478, frameBytes: 7 });
    expect([inspect(renewed).suite, inspect(renewed).frameBytes]).toEqual([0x0478, 7]);
  });

  test("refuses what decrypt refuses", async () => {
    const old = await encrypt(plaintext, { keyring: from, context: { tenant: "acme" } });
    await expectCode(reencrypt(old, { from, to, context: { tenant: "globex" } }), "ERR_CONTEXT_MISMATCH");
    await expectCode(reencrypt(old, { from: to, to }), "ERR_NO_KEYRING_MATCHED");
    await expectCode(reencrypt(old.subarray(0, old.length - 1), { from, to }), "ERR_TRUNCATED");
    const reason = new RangeError("mine");
    expect(await failureOf(reencrypt(old, { from, to, signal: AbortSignal.abort(reason) }))).toBe(reason);
  });
});
