/** Attacks by way of what callers and keyrings hand in: memory that others write to, odd objects, answers that never come. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import type { DataKey } from "../../src/engine/data-key.js";
import { decrypt } from "../../src/envelope/decrypt.js";
import { encrypt } from "../../src/envelope/encrypt.js";
import { encryptFile } from "../../src/envelope/file.js";
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

describe("a keyring that misbehaves", () => {
  const never = () => new Promise<never>(() => undefined);
  const generating = (generateDataKey: Keyring["generateDataKey"]): Keyring => ({ ...opening(never), generateDataKey });
  const opening = (unwrapDataKey: Keyring["unwrapDataKey"]): Keyring => ({
    generateDataKey: (request) => keyring.generateDataKey(request),
    wrapDataKey: (request) => keyring.wrapDataKey(request),
    unwrapDataKey,
  });

  test("never answers: the signal still ends the call, with its reason", async () => {
    const message = await encrypt("x", { keyring });
    const sealing = new AbortController();
    const sealed = encrypt("x", { keyring: generating(never), signal: sealing.signal });
    sealing.abort("enough");
    await expect(sealed).rejects.toBe("enough");
    const signal = AbortSignal.abort("sooner");
    await expect(decrypt(message, { keyring: opening(never), signal })).rejects.toBe("sooner");
    const during = new AbortController();
    const aborting = opening(() => {
      during.abort("while asked");
      return never();
    });
    await expect(decrypt(message, { keyring: aborting, signal: during.signal })).rejects.toBe("while asked");
  });

  test("answers after the signal: the data key is wiped", async () => {
    const aborter = new AbortController();
    const late: DataKey[] = [];
    let answer: () => void = () => undefined;
    const slow = generating(async (request) => {
      const generated = await keyring.generateDataKey(request);
      late.push(generated.dataKey);
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return generated;
    });
    const sealed = encrypt("x", { keyring: slow, signal: aborter.signal });
    await new Promise((resolve) => setImmediate(resolve));
    aborter.abort("enough");
    await expect(sealed).rejects.toBe("enough");
    expect(late[0]?.byteLength).toBe(32);
    answer();
    await new Promise((resolve) => setImmediate(resolve));
    await expectCode(() => late[0]?.byteLength, "ERR_CLOSED");
  });

  test("answers with a data key and nonsense beside it: the data key is wiped", async () => {
    const made: DataKey[] = [];
    const odd = generating(async (request) => {
      const generated = await keyring.generateDataKey(request);
      made.push(generated.dataKey);
      return { ...generated, encryptedDataKeys: "none" as unknown as [] };
    });
    await expectCode(() => encrypt("x", { keyring: odd }), "ERR_INPUT");
    await expectCode(() => made[0]?.byteLength, "ERR_CLOSED");
  });

  test("answers null", async () => {
    const message = await encrypt("x", { keyring });
    const nothing = async () => null as unknown as undefined;
    await expectCode(() => decrypt(message, { keyring: opening(nothing) }), "ERR_INPUT");
  });

  test("answers twice with one data key", async () => {
    let first: ReturnType<Keyring["generateDataKey"]> | undefined;
    const twice = generating((request) => {
      first ??= keyring.generateDataKey(request);
      return first;
    });
    await encrypt("x", { keyring: twice });
    await expectCode(() => encrypt("x", { keyring: twice }), "ERR_CLOSED");
  });
});

test("a stranger's provider ids come into an error few, short and printable", async () => {
  const encryptedDataKeys = Array.from({ length: 60 }, (_, i) => ({
    providerId: `${i}\u202e\u001b[31m${"x".repeat(60_000)}`,
    providerInfo: new Uint8Array(0),
    ciphertext: new Uint8Array(0),
  }));
  const many: Keyring = {
    generateDataKey: async (request) => ({ ...(await keyring.generateDataKey(request)), encryptedDataKeys }),
    wrapDataKey: (request) => keyring.wrapDataKey(request),
    unwrapDataKey: async () => undefined,
  };
  const message = await encrypt("x", { keyring: many });
  const error = await expectCode(() => decrypt(message, { keyring: many }), "ERR_NO_KEYRING_MATCHED");
  expect(error.message.length).toBeLessThan(1000);
  expect(JSON.stringify(error.tried).length).toBeLessThan(1000);
  expect(error.message).toMatch(/^[ -~]*$/);
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

test.skipIf(process.platform === "win32")("a pipe where the file is to go is refused, not waited for", async () => {
  const folder = mkdtempSync(join(tmpdir(), "keyladder-callers-"));
  try {
    writeFileSync(join(folder, "plain"), "x");
    execFileSync("mkfifo", [join(folder, "pipe")]);
    await expectCode(() => encryptFile(join(folder, "plain"), join(folder, "pipe"), { keyring }), "ERR_FILE_EXISTS");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
