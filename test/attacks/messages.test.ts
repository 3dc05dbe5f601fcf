/** The attacks that shaped the message rules of the threat model, each run, and what stops it here. */

import { constants, createCipheriv, createDecipheriv, generateKeyPairSync, publicEncrypt } from "node:crypto";
import { buildClient, CommitmentPolicy, RawRsaKeyringNode } from "@aws-crypto/client-node";
import { describe, expect, test } from "vitest";
import { concat, readU16, u32, writeU16 } from "../../src/bytes.js";
import { DataKey, useDataKey } from "../../src/engine/data-key.js";
import * as api from "../../src/index.js";
import type { Keyring } from "../../src/keyring/port.js";
import { suiteOf } from "../../src/message/suites.js";
import { forge, forgeFrame, forgeKeys, forgeOptions } from "../forge.js";
import { aesKeyring, countingBytes, expectBytes, expectCode, rangeOf } from "../kit.js";

const { decrypt, decryptRange, decryptStream, encrypt, inspect, multiKeyring, openRange, rawRsaKeyring, reencrypt } =
  api;
const keyring = aesKeyring();

/** The hash key: what an attacker solves for. E(K, 0), the keystream of no other nonce. */
function hOf(key: Uint8Array): bigint {
  const cipher = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
  return BigInt(`0x${cipher.update(new Uint8Array(16)).toString("hex")}`);
}

const rawBytesOf = (dataKey: DataKey) => useDataKey(dataKey, (bytes) => Buffer.from(bytes).toString("hex"));

describe("rule 1: a header is never tagged twice under one data key and message id", () => {
  /** GF(2^128) of GHASH (SP 800-38D 6.3): bit 0 is the most significant. */
  const toField = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  const R = 0xe1n << 120n;
  function multiply(x: bigint, y: bigint): bigint {
    let [z, v] = [0n, y];
    for (let i = 127n; i >= 0n; i--) {
      if ((x >> i) & 1n) z ^= v;
      v = v & 1n ? (v >> 1n) ^ R : v >> 1n;
    }
    return z;
  }
  /** The GHASH of an associated data without ciphertext, as a function of H. */
  function ghash(h: bigint, aad: Uint8Array, ciphertext: Uint8Array = new Uint8Array(0)): bigint {
    const pad = (bytes: Uint8Array) => concat(bytes, new Uint8Array((16 - (bytes.length % 16)) % 16));
    const lengths = concat(u32(0), u32(8 * aad.length), u32(0), u32(8 * ciphertext.length));
    const all = concat(pad(aad), pad(ciphertext), lengths);
    let y = 0n;
    for (let at = 0; at < all.length; at += 16) y = multiply(y ^ toField(all.subarray(at, at + 16)), h);
    return y;
  }

  test("the attack: two headers tagged under the zero nonce differ in GHASH alone, and with H frames are forged", () => {
    const suite = suiteOf(0x0478);
    const messageId = Buffer.alloc(32, 7);
    const dataKey = countingBytes(32);
    const { key } = forgeKeys(suite, dataKey, messageId);
    // A "rewrap": the same message, another wrapped key in its header, tagged anew.
    const before = forge({ suite, messageId, dataKey, plaintext: countingBytes(16), frameBytes: 16 });
    const dataKeys = [["forge", "new", Uint8Array.of(1)]] as const;
    const after = forge({ suite, messageId, dataKey, dataKeys, plaintext: countingBytes(16), frameBytes: 16 });
    const split = (message: Uint8Array) => {
      const { headerBytes } = inspect(message);
      return [message.subarray(0, headerBytes - 16), message.subarray(headerBytes - 16, headerBytes)] as const;
    };
    const [[body1, tag1], [body2, tag2]] = [split(before), split(after)];
    // The pads E(K, J0) cancel: the difference of the tags is a polynomial in H with known coefficients. H is a root.
    const h = hOf(key);
    expect(toField(tag1) ^ toField(tag2)).toBe(ghash(h, body1) ^ ghash(h, body2));
    // With H, one sealed frame gives the pad of its nonce, and any other content of that frame a valid tag.
    const { nonce, sealed } = forgeFrame(key, messageId, "final", 1, countingBytes(16));
    const [ciphertext, tag] = [sealed.subarray(0, 16), sealed.subarray(16)];
    const text = Buffer.from("AWSKMSEncryptionClient Final Frame");
    const aad = concat(messageId, text, u32(1), u32(0), u32(16));
    const pad = toField(tag) ^ ghash(h, aad, ciphertext);
    const changed = ciphertext.map((byte) => byte ^ 0xff);
    const forgedTag = (pad ^ ghash(h, aad, changed)).toString(16).padStart(32, "0");
    const decipher = createDecipheriv("aes-256-gcm", key, nonce).setAAD(aad).setAuthTag(Buffer.from(forgedTag, "hex"));
    const opened = Buffer.concat([decipher.update(changed), decipher.final()]);
    expectBytes(
      opened,
      countingBytes(16).map((byte) => byte ^ 0xff),
    );
  });

  test("what stops it: reencrypt makes a message id and a data key of its own, and there is nothing else", async () => {
    const old = await encrypt("x", { keyring });
    const renewed = await reencrypt(old, { from: keyring, to: keyring });
    const again = await reencrypt(old, { from: keyring, to: keyring });
    const ids = [old, renewed, again].map((message) => Buffer.from(inspect(message).messageId).toString("hex"));
    expect(new Set(ids).size).toBe(3);
    const keys = new Set<string>();
    for (const message of [old, renewed, again]) {
      const { encryptedDataKeys } = inspect(message);
      const request = { suite: 0x0478, dataKeyBytes: 32, context: {}, contextBytes: new Uint8Array(0) } as const;
      const unwrapped = await keyring.unwrapDataKey({ ...request, encryptedDataKeys });
      keys.add(rawBytesOf(unwrapped?.dataKey as DataKey));
    }
    expect(keys.size).toBe(3);
    for (const name of Object.keys(api)) expect(name).not.toMatch(/rewrap|retag|header$/i);
  });

  test("nor can a caller choose the message id, or a keyring the same data key twice with effect on nonces", async () => {
    const fixed: Keyring = {
      generateDataKey: async (request) => {
        const dataKey = DataKey.fromBytes(new Uint8Array(32).fill(5));
        return { dataKey, encryptedDataKeys: [await keyring.wrapDataKey({ ...request, dataKey })], keyId: "fixed" };
      },
      wrapDataKey: (request) => keyring.wrapDataKey(request),
      unwrapDataKey: (request) => keyring.unwrapDataKey(request),
    };
    const messageId = new Uint8Array(32).fill(9);
    await expectCode(encrypt("same", { keyring: fixed, messageId } as api.EncryptOptions), "ERR_INPUT");
    const options = { keyring: fixed };
    const [a, b] = [await encrypt("same", options), await encrypt("same", options)];
    expect(inspect(a).messageId).not.toEqual(inspect(b).messageId);
    // Another id is another message key: the same plaintext under the same nonces gives another ciphertext.
    const body = (message: Uint8Array) => message.subarray(inspect(message).headerBytes);
    expect(Buffer.compare(body(a), body(b))).not.toBe(0);
  });
});

describe("rule 2: decrypt opens with the keyring given, and with no other", () => {
  const [acme, globex] = [aesKeyring(1, "acme"), aesKeyring(2, "globex")];

  test("another tenant's message is not opened, whatever it says of itself", async () => {
    const theirs = await encrypt("secret", { keyring: globex, context: { tenant: "acme" } });
    await expectCode(decrypt(theirs, { keyring: acme, context: { tenant: "acme" } }), "ERR_NO_KEYRING_MATCHED");
    const renamed = new Uint8Array(theirs);
    const { encryptedDataKeys } = inspect(theirs);
    expect(encryptedDataKeys).toHaveLength(1);
    const at = Buffer.from(renamed).indexOf("globex");
    renamed.set(Buffer.from("acme"), at);
    await expectCode(decrypt(renamed, { keyring: acme }), "ERR_NO_KEYRING_MATCHED");
  });

  test("a wrapped key of acme's moved into globex's message opens neither", async () => {
    const mine = await encrypt("mine", { keyring: multiKeyring(acme, globex) });
    const theirs = await encrypt("theirs", { keyring: multiKeyring(acme, globex) });
    const edksOf = (message: Uint8Array) => {
      const start = 37 + readU16(message, 35);
      return [start, inspect(message).headerBytes - 53] as const;
    };
    const [[from, to], [start, end]] = [edksOf(mine), edksOf(theirs)];
    const grafted = concat(theirs.subarray(0, start), mine.subarray(from, to), theirs.subarray(end));
    for (const keyring of [acme, globex, multiKeyring(acme, globex)]) {
      await expectCode(decrypt(grafted, { keyring }), "ERR_DECRYPT");
    }
  });

  test("a multi keyring says which key opened: not who sealed", async () => {
    const opened = await decrypt(await encrypt("x", { keyring: globex }), { keyring: multiKeyring(acme, globex) });
    expect(opened.keyId).toBe("test/globex");
  });
});

describe("rule 3: the context is read once, before anything else", () => {
  test("a getter that says one thing to the keyring and another to the header", async () => {
    let reads = 0;
    const context = {
      get tenant() {
        return reads++ === 0 ? "acme" : "globex";
      },
    };
    const seen: unknown[] = [];
    const spy: Keyring = {
      generateDataKey: (request) => {
        seen.push(request.context.tenant);
        return keyring.generateDataKey(request);
      },
      wrapDataKey: (request) => keyring.wrapDataKey(request),
      unwrapDataKey: (request) => {
        seen.push(request.context.tenant);
        return keyring.unwrapDataKey(request);
      },
    };
    const message = await encrypt("x", { keyring: spy, context });
    expect([reads, inspect(message).context.tenant, seen]).toEqual([1, "acme", ["acme"]]);
    reads = 0;
    await decrypt(message, { keyring: spy, context });
    expect([reads, seen]).toEqual([1, ["acme", "acme"]]);
  });

  test("a keyring cannot change what is bound either", async () => {
    const meddling: Keyring = {
      generateDataKey: (request) => {
        expect(Object.isFrozen(request.context)).toBe(true);
        expect(Reflect.set(request.context, "tenant", "globex")).toBe(false);
        return keyring.generateDataKey(request);
      },
      wrapDataKey: (request) => keyring.wrapDataKey(request),
      unwrapDataKey: (request) => keyring.unwrapDataKey(request),
    };
    const message = await encrypt("x", { keyring: meddling, context: { tenant: "acme" } });
    await decrypt(message, { keyring, context: { tenant: "acme" } });
  });

  test("an object changed while the keyring answers", async () => {
    const context: Record<string, string> = { tenant: "acme" };
    const slow: Keyring = {
      generateDataKey: async (request) => {
        context.tenant = "globex";
        context.more = "pairs";
        return keyring.generateDataKey(request);
      },
      wrapDataKey: (request) => keyring.wrapDataKey(request),
      unwrapDataKey: (request) => keyring.unwrapDataKey(request),
    };
    expect({ ...inspect(await encrypt("x", { keyring: slow, context })).context }).toEqual({ tenant: "acme" });
  });
});

describe("rule 11: a range authenticates what it returns", () => {
  const plaintext = countingBytes(100);
  const sealed = () => encrypt(plaintext, { keyring, frameBytes: 10 });
  const WIRE = 42;

  test("frames swapped, with their numbers or without", async () => {
    const message = await sealed();
    const { headerBytes } = inspect(message);
    const frame = (i: number) => message.slice(headerBytes + WIRE * i, headerBytes + WIRE * (i + 1));
    const swapped = new Uint8Array(message);
    swapped.set(frame(1), headerBytes + WIRE * 2);
    swapped.set(frame(2), headerBytes + WIRE * 1);
    await expectCode(decryptRange(rangeOf(swapped), 10, 5, { keyring }), "ERR_FORMAT");
    swapped.set(u32(2), headerBytes + WIRE * 1);
    swapped.set(u32(3), headerBytes + WIRE * 2);
    await expectCode(decryptRange(rangeOf(swapped), 10, 5, { keyring }), "ERR_DECRYPT");
    expectBytes(await decryptRange(rangeOf(swapped), 0, 10, { keyring }), plaintext.subarray(0, 10));
  });

  test("cut at a frame boundary, the last frame gone: refused on opening, by the stream only at its end", async () => {
    const message = await sealed();
    const { headerBytes } = inspect(message);
    for (let frames = 0; frames < 10; frames++) {
      const cut = message.subarray(0, headerBytes + WIRE * frames);
      await expectCode(openRange(rangeOf(cut), { keyring }), "ERR_TRUNCATED");
      await expectCode(decrypt(cut, { keyring }), "ERR_TRUNCATED");
    }
  });

  test("a regular frame dressed up as the last one", async () => {
    const message = await sealed();
    const { headerBytes } = inspect(message);
    const regular = message.subarray(headerBytes + WIRE * 4, headerBytes + WIRE * 5);
    const nonce = regular.subarray(4, 16);
    const dressed = concat(u32(0xffffffff), u32(5), nonce, u32(10), regular.subarray(16));
    const shorter = concat(message.subarray(0, headerBytes + WIRE * 4), dressed);
    await expectCode(openRange(rangeOf(shorter), { keyring }), "ERR_DECRYPT");
    await expectCode(decrypt(shorter, { keyring }), "ERR_DECRYPT");
  });

  test("a signed message", async () => {
    const message = await encrypt(plaintext, { keyring, suite: 0x0578, frameBytes: 10 });
    await expectCode(openRange(rangeOf(message), { keyring }), "ERR_SIGNED_STREAM");
    expect(() => decryptStream({ keyring })).not.toThrow();
  });
});

describe("rule 12: a stranger's message cannot cost a thousand unwraps", () => {
  test("more than 64 wrapped keys are refused before any is tried", async () => {
    let asked = 0;
    const counting = { unwrapDataKey: async () => void asked++ as unknown as undefined };
    const dataKeys = Array.from({ length: 65 }, (_, i) => ["p", `${i}`, Uint8Array.of(i)] as const);
    const message = forge({ suite: suiteOf(0x0478), plaintext: countingBytes(1), frameBytes: 1, dataKeys });
    await expectCode(decrypt(message, { keyring: counting }), "ERR_LIMIT_DATA_KEYS");
    await expectCode(openRange(rangeOf(message), { keyring: counting }), "ERR_LIMIT_DATA_KEYS");
    expect(asked).toBe(0);
    await expectCode(decrypt(message, { keyring: counting, maxEncryptedDataKeys: 65 }), "ERR_NO_KEYRING_MATCHED");
    expect(asked).toBe(1);
  });
});

describe("rule 13: RSA PKCS#1 v1.5 is no oracle", () => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ format: "pem", type: "pkcs8" }) as string;
  const named = { namespace: "rsa", name: "old", privateKey: pem } as const;
  const opening = rawRsaKeyring({ ...named, padding: "pkcs1" });
  const dataKey = countingBytes(32);
  const messageWith = (wrapped: Uint8Array) =>
    forge({
      suite: suiteOf(0x0478),
      plaintext: countingBytes(20),
      frameBytes: 10,
      dataKey,
      dataKeys: [["rsa", "old", wrapped]],
    });
  const raw = (block: Uint8Array) => publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, block);
  const good = new Uint8Array(256).fill(0x77);
  good.set([0, 2], 0);
  good[223] = 0;
  good.set(dataKey, 224);
  const changed = (...edits: readonly (readonly [number, number])[]) => {
    const block = new Uint8Array(good);
    for (const [at, value] of edits) block[at] = value;
    return raw(block);
  };

  test("a good one opens, where the padding was asked for by name", async () => {
    expectBytes((await decrypt(messageWith(raw(good)), { keyring: opening })).plaintext, countingBytes(20));
    const made = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, dataKey);
    expectBytes((await decrypt(messageWith(made), { keyring: opening })).plaintext, countingBytes(20));
    const oaep = rawRsaKeyring({ ...named, padding: "oaep-sha256" });
    await expectCode(decrypt(messageWith(made), { keyring: oaep }), "ERR_DECRYPT");
  });

  test("every malformed padding ends where a wrong key ends, with the same words", async () => {
    const wrongKey = await expectCode(decrypt(messageWith(changed([240, 1])), { keyring: opening }), "ERR_DECRYPT");
    const malformed: Record<string, Uint8Array> = {
      "block type 0": changed([1, 0]),
      "block type 1": changed([1, 1]),
      "first byte": changed([0, 1]),
      "zero in the first eight bytes of padding": changed([5, 0]),
      "zero late in the padding": changed([222, 0]),
      "no separator": changed([223, 1]),
      "a key of 31 bytes": changed([223, 1], [224, 0]),
      "a key of 33 bytes": changed([222, 0], [223, 9]),
      "all zeros": raw(new Uint8Array(256)),
      "not below the modulus": new Uint8Array(256).fill(0xff),
      "too short": new Uint8Array(255),
      "too long": new Uint8Array(257),
      empty: new Uint8Array(0),
      "OAEP instead": publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, dataKey),
    };
    for (const [what, wrapped] of Object.entries(malformed)) {
      const error = await expectCode(decrypt(messageWith(wrapped), { keyring: opening }), "ERR_DECRYPT");
      expect([what, error.message, error.cause, Object.keys(error)]).toEqual([
        what,
        wrongKey.message,
        undefined,
        Object.keys(wrongKey),
      ]);
      // It is the commitment that fails: the keyring itself always answers with a key.
      const { encryptedDataKeys, suite } = inspect(messageWith(wrapped));
      const request = { suite, dataKeyBytes: 32, context: {}, contextBytes: new Uint8Array(0) } as const;
      const unwrapped = await opening.unwrapDataKey({ ...request, encryptedDataKeys });
      expect([what, unwrapped?.dataKey.byteLength]).toEqual([what, 32]);
    }
  });

  test("nothing is sealed with it", async () => {
    const both = { ...named, publicKey: publicKey.export({ format: "pem", type: "spki" }) as string };
    const sealing = rawRsaKeyring({ ...both, padding: "pkcs1" });
    await expectCode(encrypt("x", { keyring: sealing }), "ERR_INPUT");
  });

  test("a message that the AWS Encryption SDK for JavaScript made with it opens", async () => {
    const theirs = new RawRsaKeyringNode({
      keyNamespace: "rsa",
      keyName: "old",
      rsaKey: { publicKey: publicKey.export({ format: "pem", type: "spki" }) as string },
      padding: constants.RSA_PKCS1_PADDING,
    });
    const { encrypt: seal } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
    const { result } = await seal(theirs, Buffer.from("made there"), { encryptionContext: { tenant: "acme" } });
    expect((await decrypt(result, { keyring: opening, context: { tenant: "acme" } })).text()).toBe("made there");
  });
});

describe("key commitment: one message does not open to two plaintexts", () => {
  test("tags that all verify, under a key that the header does not commit to", async () => {
    const shape = { suite: suiteOf(0x0478), plaintext: countingBytes(5), frameBytes: 5 } as const;
    const other = forgeKeys(shape.suite, countingBytes(32), Buffer.alloc(32, 7));
    await decrypt(forge(shape), forgeOptions);
    const message = forge({ ...shape, commitment: other.commitment });
    const error = await expectCode(decrypt(message, forgeOptions), "ERR_DECRYPT");
    const wrongKey = await expectCode(
      decrypt(forge({ ...shape, dataKey: countingBytes(32) }), forgeOptions),
      "ERR_DECRYPT",
    );
    expect(error.message).toBe(wrongKey.message);
    await expectCode(openRange(rangeOf(message), forgeOptions), "ERR_DECRYPT");
  });

  test("a committing message relabelled as one that does not commit", async () => {
    const message = forge({ suite: suiteOf(0x0478), plaintext: countingBytes(5), frameBytes: 5 });
    writeU16(message, 1, 0x0178);
    await expectCode(decrypt(message, forgeOptions), "ERR_FORMAT");
  });
});
