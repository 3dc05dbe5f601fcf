import { describe, expect, test } from "vitest";
import { DataKey } from "../../../src/engine/data-key.js";
import { decrypt } from "../../../src/envelope/decrypt.js";
import { encrypt } from "../../../src/envelope/encrypt.js";
import { inspect } from "../../../src/envelope/inspect.js";
import type { EncryptOptions } from "../../../src/envelope/options.js";
import type { Keyring } from "../../../src/keyring/port.js";
import { ALL_SUITES } from "../../../src/message/suites.js";
import { forge, forgeOptions } from "../../forge.js";
import { aesKeyring, countingBytes, expectBytes, expectCode, failureOf, openEveryWay } from "../../kit.js";

const keyring = aesKeyring();
const seal = (plaintext: Uint8Array | string, options: Partial<EncryptOptions> = {}) =>
  encrypt(plaintext, { keyring, ...options });

describe("a message", () => {
  test.each([0x0478, 0x0578] as const)(
    "of suite %i opens in every way, at every size around a frame",
    async (suite) => {
      for (const bytes of [0, 1, 15, 16, 17, 31, 32, 33, 48, 160]) {
        const plaintext = countingBytes(bytes);
        const context = { tenant: "acme", é: "ü" };
        const message = await seal(plaintext, { suite, frameBytes: 16, context });
        await openEveryWay(message, plaintext, { keyring, context });
      }
    },
  );

  test("of exactly n frames has a full final frame, of no bytes an empty one", async () => {
    const none = await seal("", { frameBytes: 16 });
    expect(none.length).toBe(inspect(none).headerBytes + 40);
    const two = await seal(countingBytes(32), { frameBytes: 16 });
    expect(two.length).toBe(inspect(two).headerBytes + 48 + 56);
  });

  test("says what it was told: suite 0x0478, frames of 4096 bytes, version 2", async () => {
    const { version, suite, frameBytes, messageId, authenticated } = inspect(await seal("x"));
    expect({ version, suite, frameBytes, authenticated }).toEqual({
      version: 2,
      suite: 0x0478,
      frameBytes: 4096,
      authenticated: false,
    });
    expect(messageId).toHaveLength(32);
  });

  test("has an id and a data key of its own", async () => {
    const [a, b] = [inspect(await seal("x")), inspect(await seal("x"))];
    expect(a.messageId).not.toEqual(b.messageId);
    expect(a.encryptedDataKeys[0]?.ciphertext).not.toEqual(b.encryptedDataKeys[0]?.ciphertext);
  });

  test("text is sealed as UTF-8; every suite and shape of other writers opens", async () => {
    expect((await decrypt(await seal("grüße 🔑"), { keyring })).text()).toBe("grüße 🔑");
    for (const suite of ALL_SUITES) {
      for (const frameBytes of [0, 1, 8, 13, 4096]) {
        for (const emptyFinal of [false, true]) {
          const plaintext = countingBytes(26);
          const message = forge({ suite, plaintext, frameBytes, emptyFinal, context: { z: "1", a: "2" } });
          await openEveryWay(message, plaintext, { ...forgeOptions, context: { a: "2" } });
        }
      }
    }
  });

  test("text() refuses what is not UTF-8", async () => {
    const opened = await decrypt(await seal(Uint8Array.of(0x61, 0xff)), { keyring });
    await expectCode(() => opened.text(), "ERR_FORMAT");
  });
});

describe("the context", () => {
  test("comes back frozen and without a prototype", async () => {
    const { context } = await decrypt(await seal("x", { context: { b: "2", a: "1" } }), { keyring });
    expect(Object.getPrototypeOf(context)).toBeNull();
    expect(Object.isFrozen(context)).toBe(true);
    expect({ ...context }).toEqual({ a: "1", b: "2" });
  });

  test("names such as __proto__ are names like any other", async () => {
    const context = JSON.parse('{"__proto__":"p","constructor":"c","hasOwnProperty":"h"}');
    const message = await seal("x", { context });
    const opened = await decrypt(message, { keyring, context });
    expect(Object.entries(opened.context).sort()).toEqual(Object.entries(context).sort());
    const other = JSON.parse('{"__proto__":"q"}');
    await expectCode(decrypt(message, { keyring, context: other }), "ERR_CONTEXT_MISMATCH");
  });

  test("is read once, and what changes after the call has no effect", async () => {
    let reads = 0;
    const context = {
      get tenant() {
        return ++reads === 1 ? "acme" : "globex";
      },
    };
    const message = await seal("x", { context });
    expect(reads).toBe(1);
    expect(inspect(message).context.tenant).toBe("acme");
    const later: Record<string, string> = { tenant: "acme" };
    const pending = seal("x", { context: later });
    later.tenant = "globex";
    expect(inspect(await pending).context.tenant).toBe("acme");
  });

  test.each([
    ["aws-crypto-public-key", { "aws-crypto-public-key": "x" }],
    ["aws-crypto-", { "aws-crypto-": "x" }],
    ["keyladder:", { "keyladder:purpose": "x" }],
    ["a number", { n: 1 as unknown as string }],
    ["undefined", { n: undefined as unknown as string }],
    ["a lone surrogate in a key", { "\ud800": "x" }],
    ["a lone surrogate in a value", { x: "\udc00" }],
    ["an array", ["x"] as unknown as Record<string, string>],
    ["text", "tenant=acme" as unknown as Record<string, string>],
    ["a Map", new Map([["tenant", "acme"]]) as unknown as Record<string, string>],
    ["an object that inherits its pairs", Object.create({ tenant: "acme" })],
    ["null", null as unknown as Record<string, string>],
  ])("refuses %s", async (_what, context) => {
    await expectCode(seal("x", { context }), "ERR_INPUT");
    await expectCode(decrypt(await seal("x"), { keyring, context }), "ERR_INPUT");
  });

  test("of more than 65535 bytes is refused, of exactly so many is not", async () => {
    const fits = { k: "v".repeat(65535 - 2 - 5) };
    expect((await decrypt(await seal("x", { context: fits }), { keyring })).context).toEqual(fits);
    await expectCode(seal("x", { context: { k: `${fits.k}v` } }), "ERR_LIMIT_HEADER");
  });

  test("required pairs are bound, and not stored", async () => {
    const context = { tenant: "acme", row: "17" };
    for (const suite of [0x0478, 0x0578] as const) {
      const message = await seal("x", { context, requiredContext: ["tenant"], suite });
      expect(Object.keys(inspect(message).context)).not.toContain("tenant");
      expect(Buffer.from(message).includes("acme")).toBe(false);
      expect({ ...(await decrypt(message, { keyring, context })).context }).toEqual(context);
      await expectCode(decrypt(message, { keyring, context: { row: "17" } }), "ERR_DECRYPT");
      await expectCode(decrypt(message, { keyring, context: { ...context, tenant: "globex" } }), "ERR_DECRYPT");
      await expectCode(decrypt(message, { keyring, context: { ...context, row: "18" } }), "ERR_CONTEXT_MISMATCH");
    }
    await expectCode(seal("x", { context, requiredContext: ["nobody"] }), "ERR_INPUT");
    const message = await seal("x", { context });
    await expectCode(decrypt(message, { keyring, context, requiredContext: ["nobody"] }), "ERR_INPUT");
  });

  test.each(["tenant", 5, { 0: "tenant" }])("requiredContext %o is no array of names", async (requiredContext) => {
    const wrong = { context: { tenant: "acme", t: "x" }, requiredContext: requiredContext as unknown as string[] };
    await expectCode(seal("x", wrong), "ERR_INPUT");
    await expectCode(decrypt(await seal("x"), { keyring, ...wrong }), "ERR_INPUT");
  });
});

describe("options", () => {
  test.each<[string, Partial<Record<keyof EncryptOptions, unknown>>]>([
    ["frames of no bytes", { frameBytes: 0 }],
    ["frames of 2^32 bytes", { frameBytes: 2 ** 32 }],
    ["frames of half a byte", { frameBytes: 0.5 }],
    ["a suite that is read only", { suite: 0x0378 }],
    ["a negative bound", { plaintextBytes: -1 }],
    ["no data keys", { maxEncryptedDataKeys: 0 }],
    ["65536 data keys", { maxEncryptedDataKeys: 65536 }],
    ["an unknown policy", { commitmentPolicy: "NONE" }],
    ["a signal that is none", { signal: { aborted: false } }],
    ["no keyring", { keyring: undefined }],
    ["a keyring that only opens", { keyring: { unwrapDataKey: keyring.unwrapDataKey } }],
  ])("refuse %s", async (_what, wrong) => {
    await expectCode(seal("x", wrong as Partial<EncryptOptions>), "ERR_INPUT");
  });

  test("refuse a policy under which nothing can be written", async () => {
    await expectCode(seal("x", { commitmentPolicy: "FORBID_ENCRYPT_ALLOW_DECRYPT" }), "ERR_COMMITMENT_POLICY");
  });

  test("none at all is an input error", async () => {
    await expectCode(encrypt("x", undefined as unknown as EncryptOptions), "ERR_INPUT");
  });

  test("are read once: a getter cannot swap the keyring that was checked", async () => {
    let reads = 0;
    const swapping = {
      get keyring() {
        reads++;
        return keyring;
      },
    };
    await encrypt("x", swapping);
    expect(reads).toBe(1);
    reads = 0;
    await decrypt(await seal("x"), swapping);
    expect(reads).toBe(1);
  });

  test("plaintext: lone surrogates, numbers and arrays are refused", async () => {
    await expectCode(seal("a\ud800b"), "ERR_INPUT");
    await expectCode(seal(5 as unknown as string), "ERR_INPUT");
    await expectCode(seal([1, 2] as unknown as Uint8Array), "ERR_INPUT");
  });

  test("plaintextBytes bounds the plaintext", async () => {
    await seal("12345", { plaintextBytes: 5 });
    await expectCode(seal("123456", { plaintextBytes: 5 }), "ERR_LIMIT_PLAINTEXT");
  });

  test("an aborted signal rejects with its reason, unchanged, before and during", async () => {
    const reason = { why: "the user left" };
    expect(await failureOf(seal("x", { signal: AbortSignal.abort(reason) }))).toBe(reason);
    const message = await seal("x");
    expect(await failureOf(decrypt(message, { keyring, signal: AbortSignal.abort(reason) }))).toBe(reason);
    const controller = new AbortController();
    const slow: Keyring = {
      ...keyring,
      wrapDataKey: (request) => keyring.wrapDataKey(request),
      async generateDataKey(request) {
        controller.abort(reason);
        return keyring.generateDataKey(request);
      },
      async unwrapDataKey(request) {
        controller.abort(reason);
        return keyring.unwrapDataKey(request);
      },
    };
    expect(await failureOf(seal("x", { keyring: slow, signal: controller.signal }))).toBe(reason);
  });
});

describe("what a keyring of a user's returns is checked", () => {
  const returning = (generated: unknown): Keyring => ({
    generateDataKey: async () => generated as never,
    wrapDataKey: (request) => keyring.wrapDataKey(request),
    unwrapDataKey: async () => generated as never,
  });
  const edk = { providerId: "p", providerInfo: new Uint8Array(0), ciphertext: new Uint8Array(1) };

  test.each([
    ["nothing", () => undefined],
    ["raw bytes", () => ({ dataKey: new Uint8Array(32), encryptedDataKeys: [edk], keyId: "x" })],
    ["no wrapped key", () => ({ dataKey: DataKey.fromBytes(new Uint8Array(32)), encryptedDataKeys: [], keyId: "x" })],
    ["a short key", () => ({ dataKey: DataKey.fromBytes(new Uint8Array(16)), encryptedDataKeys: [edk], keyId: "x" })],
    [
      "text as wrapped bytes",
      () => ({
        dataKey: DataKey.fromBytes(new Uint8Array(32)),
        encryptedDataKeys: [{ ...edk, ciphertext: "text" }],
        keyId: "x",
      }),
    ],
    [
      "a number as provider id",
      () => ({
        dataKey: DataKey.fromBytes(new Uint8Array(32)),
        encryptedDataKeys: [{ ...edk, providerId: 5 }],
        keyId: "x",
      }),
    ],
  ])("%s", async (_what, generated) => {
    await expectCode(seal("x", { keyring: returning(generated()) }), "ERR_INPUT");
  });

  test("more wrapped keys than the limit", async () => {
    const encryptedDataKeys = Array.from({ length: 65 }, () => edk);
    const generated = { dataKey: DataKey.fromBytes(new Uint8Array(32)), encryptedDataKeys, keyId: "x" };
    await expectCode(seal("x", { keyring: returning(generated) }), "ERR_LIMIT_DATA_KEYS");
    await expectCode(() => generated.dataKey.byteLength, "ERR_CLOSED");
  });

  test("a provider info too long for its field", async () => {
    const encryptedDataKeys = [{ ...edk, providerInfo: new Uint8Array(65536) }];
    const generated = { dataKey: DataKey.fromBytes(new Uint8Array(32)), encryptedDataKeys, keyId: "x" };
    await expectCode(seal("x", { keyring: returning(generated) }), "ERR_LIMIT_HEADER");
    await expectCode(() => generated.dataKey.byteLength, "ERR_CLOSED");
  });

  test("the data key is let go of, sealing and opening", async () => {
    const keys: DataKey[] = [];
    const spy: Keyring = {
      async generateDataKey(request) {
        const generated = await keyring.generateDataKey(request);
        keys.push(generated.dataKey);
        return generated;
      },
      wrapDataKey: (request) => keyring.wrapDataKey(request),
      async unwrapDataKey(request) {
        const unwrapped = await keyring.unwrapDataKey(request);
        if (unwrapped) keys.push(unwrapped.dataKey);
        return unwrapped;
      },
    };
    const message = await seal("x", { keyring: spy });
    expectBytes((await decrypt(message, { keyring: spy })).plaintext, new TextEncoder().encode("x"));
    expect(keys).toHaveLength(2);
    for (const key of keys) await expectCode(() => key.byteLength, "ERR_CLOSED");
  });
});

describe("out", () => {
  test.each([0x0478, 0x0578] as const)(
    "of suite %i: the result is its subarray, and a message like any other",
    async (suite) => {
      const plaintext = countingBytes(100);
      const out = new Uint8Array(4096).fill(0xee);
      const message = await seal(plaintext, { suite, out, frameBytes: 32 });
      expect(message.buffer).toBe(out.buffer);
      expect(message.byteOffset).toBe(0);
      expect(out.subarray(message.length + 8).every((byte) => byte === 0xee)).toBe(true);
      await openEveryWay(new Uint8Array(message), plaintext, { keyring });
    },
  );

  test("of exactly the right length will do; a byte less is ERR_OUTPUT_TOO_SMALL and says how many", async () => {
    const plaintext = countingBytes(100);
    const { length } = await seal(plaintext);
    expect(await seal(plaintext, { out: new Uint8Array(length) })).toHaveLength(length);
    const failure = await failureOf(seal(plaintext, { out: new Uint8Array(length - 1) }));
    expect(failure).toMatchObject({ code: "ERR_OUTPUT_TOO_SMALL", neededBytes: length });
  });

  test("over the plaintext is ERR_OVERLAP, beside it is not", async () => {
    const memory = new Uint8Array(2048);
    await expectCode(seal(memory.subarray(100, 200), { out: memory }), "ERR_OVERLAP");
    const plaintext = memory.subarray(1948).fill(7);
    const message = await seal(plaintext, { out: memory.subarray(0, 1948) });
    expectBytes((await decrypt(message, { keyring })).plaintext, plaintext);
  });

  test("that is no Uint8Array is ERR_INPUT", async () => {
    await expectCode(seal("x", { out: [] as never }), "ERR_INPUT");
  });
});

describe("a mistyped option", () => {
  test.each(["contxt", "keyRing", "key", "maxPlaintextBytes"])("%s is ERR_INPUT, and names itself", async (name) => {
    const failure = await failureOf(seal("x", { [name]: {} }));
    expect(failure).toMatchObject({ code: "ERR_INPUT", message: `unknown option "${name}"` });
  });

  test("does not drop a demand when opening", async () => {
    const message = await seal("x", { context: { tenant: "acme" } });
    const options = { keyring, contxt: { tenant: "globex" } };
    await expectCode(decrypt(message, options), "ERR_INPUT");
  });
});
