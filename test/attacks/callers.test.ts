/** Attacks by way of what callers and keyrings hand in: memory that others write to, odd objects, answers that never come. */

import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { decrypt } from "../../src/envelope/decrypt.js";
import { encrypt } from "../../src/envelope/encrypt.js";
import { reencrypt } from "../../src/envelope/reencrypt.js";
import { decryptStream } from "../../src/envelope/stream.js";
import type { Keyring } from "../../src/keyring/port.js";
import { aesKeyring, countingBytes, expectBytes, expectCode } from "../kit.js";

const keyring = aesKeyring();

describe("memory that another thread may write to: each input byte is loaded once", () => {
  function shared(bytes: Uint8Array): Uint8Array {
    const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
    copy.set(bytes);
    return copy;
  }

  /** Zeros `bytes` as soon as the keyring is asked. */
  const zeroing = (bytes: Uint8Array): Keyring => ({
    generateDataKey: (request) => keyring.generateDataKey(request),
    wrapDataKey: (request) => keyring.wrapDataKey(request),
    unwrapDataKey(request) {
      bytes.fill(0);
      return keyring.unwrapDataKey(request);
    },
  });

  test.each([0x0478, 0x0578] as const)(
    "a message of suite %i changed during decrypt opens as it was",
    async (suite) => {
      const plaintext = countingBytes(1000);
      const message = shared(await encrypt(plaintext, { keyring, suite, frameBytes: 64 }));
      expectBytes((await decrypt(message, { keyring: zeroing(message) })).plaintext, plaintext);
    },
  );

  test("reencrypt and streams too", async () => {
    const plaintext = countingBytes(1000);
    const sealed = await encrypt(plaintext, { keyring, context: { tenant: "acme" } });
    const first = shared(sealed);
    const again = await reencrypt(first, { from: zeroing(first), to: keyring });
    expectBytes((await decrypt(again, { keyring, context: { tenant: "acme" } })).plaintext, plaintext);

    const second = shared(sealed);
    const stream = decryptStream({ keyring: zeroing(second) });
    const writer = stream.writable.getWriter();
    const written = writer.write(second).then(() => writer.close());
    const opened: number[] = [];
    for await (const chunk of stream.readable) opened.push(...chunk);
    await written;
    expectBytes(Uint8Array.from(opened), plaintext);
  });

  test("a plaintext that is transferred away while the keyring is asked is not sealed as nothing", async () => {
    const plaintext = countingBytes(10);
    const sealing = encrypt(plaintext, { keyring });
    structuredClone(plaintext.buffer, { transfer: [plaintext.buffer] });
    await expectCode(() => sealing, "ERR_INPUT");
  });
});

describe("a context that is not what it looks like", () => {
  test.each<[string, unknown]>([
    ["a Map", new Map([["tenant", "globex"]])],
    ["URLSearchParams", new URLSearchParams({ tenant: "globex" })],
    ["pairs that are inherited", Object.create({ tenant: "globex" })],
    ["an array", []],
    ["null", null],
  ])("%s is refused: it would bind nothing, and demand nothing", async (_what, given) => {
    const context = given as Record<string, string>;
    await expectCode(() => encrypt("x", { keyring, context }), "ERR_INPUT");
    const message = await encrypt("x", { keyring, context: { tenant: "acme" } });
    await expectCode(() => decrypt(message, { keyring, context }), "ERR_INPUT");
  });

  test("an object without a prototype, or of another realm, is as good as any", async () => {
    const bare = Object.assign(Object.create(null), { tenant: "acme" });
    const message = await encrypt("x", { keyring, context: bare });
    const foreign = runInNewContext('({ tenant: "acme" })') as Record<string, string>;
    expect((await decrypt(message, { keyring, context: foreign })).text()).toBe("x");
  });
});
