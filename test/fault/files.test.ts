/** Files sealed and opened while things go wrong: the target appears whole or not at all, and nothing else is left. */

import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { concat } from "../../src/bytes.js";
import { decrypt } from "../../src/envelope/decrypt.js";
import { encrypt } from "../../src/envelope/encrypt.js";
import { decryptFile, encryptFile, type FileOptions } from "../../src/envelope/file.js";
import type { DecryptOptions } from "../../src/envelope/options.js";
import type { ErrorCode } from "../../src/errors.js";
import type { Keyring } from "../../src/keyring/port.js";
import { suiteOf } from "../../src/message/suites.js";
import { forge, forgeOptions } from "../forge.js";
import { aesKeyring, countingBytes, expectBytes, expectCode, failureOf, flipBit } from "../kit.js";

const keyring = aesKeyring();
const options = { keyring, context: { tenant: "acme" } } as const;
const MIB = 1024 * 1024;
const plaintext = countingBytes(2 * MIB + 12_345);

let folder: string;
let [plain, sealed, opened] = ["", "", ""];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "keyladder-files-"));
  [plain, sealed, opened] = [join(folder, "plain"), join(folder, "sealed"), join(folder, "opened")];
  await writeFile(plain, plaintext);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const modeOf = async (file: string) => (await stat(file)).mode & 0o777;
const names = async () => (await readdir(folder)).sort();

describe("round trip", () => {
  test.each([0, 1, 4095, 4096, 4097, MIB, plaintext.length])("%i bytes", async (bytes) => {
    await writeFile(plain, plaintext.subarray(0, bytes));
    for (const suite of [0x0478, 0x0578] as const) {
      const made = await encryptFile(plain, sealed, { ...options, suite, overwrite: true });
      const message = new Uint8Array(await readFile(sealed));
      expect(made).toMatchObject({ plaintextBytes: bytes, messageBytes: message.length, keyId: "test/key" });
      expect({ ...made.context }).toEqual({ tenant: "acme" });
      expectBytes((await decrypt(message, options)).plaintext, plaintext.subarray(0, bytes));
      const read = await decryptFile(sealed, opened, { ...options, overwrite: true });
      expect(read).toMatchObject({ plaintextBytes: bytes, messageBytes: message.length, keyId: "test/key" });
      expect({ ...read.context }).toEqual({ tenant: "acme" });
      expectBytes(await readFile(opened), plaintext.subarray(0, bytes));
    }
    expect(await names()).toEqual(["opened", "plain", "sealed"]);
  });

  test("file URLs, over the source itself, and messages of version 1", async () => {
    await encryptFile(pathToFileURL(plain), pathToFileURL(sealed), options);
    await decryptFile(pathToFileURL(sealed), pathToFileURL(opened), options);
    expectBytes(await readFile(opened), plaintext);
    await encryptFile(plain, plain, { ...options, overwrite: true });
    await decryptFile(plain, plain, { ...options, overwrite: true });
    expectBytes(await readFile(plain), plaintext);
    for (const frameBytes of [0, 1000]) {
      await writeFile(sealed, forge({ suite: suiteOf(0x0378), plaintext, frameBytes }));
      await decryptFile(sealed, opened, { ...forgeOptions, overwrite: true });
      expectBytes(await readFile(opened), plaintext);
    }
  });

  test("names as long as a name can be", async () => {
    const long = join(folder, "鍵".repeat(85));
    await encryptFile(plain, long, options);
    await decryptFile(long, opened, options);
    expectBytes(await readFile(opened), plaintext);
  });

  test("progress counts bytes of the source, to the last", async () => {
    const seen: number[] = [];
    const onProgress: FileOptions["onProgress"] = ({ doneBytes, totalBytes }) => {
      expect(totalBytes).toBe(plaintext.length);
      seen.push(doneBytes);
    };
    await encryptFile(plain, sealed, { ...options, onProgress });
    expect(seen).toEqual([MIB, 2 * MIB, plaintext.length]);
  });
});

describe("modes", () => {
  test("opened plaintext is for its owner; a message as the umask says; both as asked", async () => {
    const umask = process.umask();
    await encryptFile(plain, sealed, options);
    await decryptFile(sealed, opened, options);
    expect([await modeOf(sealed), await modeOf(opened)]).toEqual([0o644 & ~umask, 0o600]);
    await encryptFile(plain, sealed, { ...options, overwrite: true, mode: 0o600 });
    await decryptFile(sealed, opened, { ...options, overwrite: true, mode: 0o640 });
    expect([await modeOf(sealed), await modeOf(opened)]).toEqual([0o600, 0o640 & ~umask]);
  });

  test("an overwritten file gets the mode of the new one", async () => {
    await encryptFile(plain, sealed, options);
    await writeFile(opened, "old");
    await chmod(opened, 0o666);
    await decryptFile(sealed, opened, { ...options, overwrite: true });
    expect(await modeOf(opened)).toBe(0o600);
  });
});

describe("an existing file", () => {
  test("is refused and untouched", async () => {
    await encryptFile(plain, sealed, options);
    await writeFile(opened, "precious");
    const before = await stat(opened);
    const error = await expectCode(decryptFile(sealed, opened, options), "ERR_FILE_EXISTS");
    expect(error.message).toContain(opened);
    await expectCode(encryptFile(plain, opened, options), "ERR_FILE_EXISTS");
    expect(await readFile(opened, "utf8")).toBe("precious");
    expect((await stat(opened)).mtimeMs).toBe(before.mtimeMs);
    expect(await names()).toEqual(["opened", "plain", "sealed"]);
  });

  test("that appears while the work is under way is not replaced", async () => {
    const racing: Keyring = {
      generateDataKey: async (request) => {
        await writeFile(sealed, "mine");
        return keyring.generateDataKey(request);
      },
      wrapDataKey: (request) => keyring.wrapDataKey(request),
      unwrapDataKey: (request) => keyring.unwrapDataKey(request),
    };
    await expectCode(encryptFile(plain, sealed, { ...options, keyring: racing }), "ERR_FILE_EXISTS");
    expect(await readFile(sealed, "utf8")).toBe("mine");
    expect(await names()).toEqual(["plain", "sealed"]);
  });

  test("behind a link that leads nowhere is not made", async () => {
    await symlink(join(folder, "nowhere"), sealed);
    await expectCode(encryptFile(plain, sealed, options), "ERR_FILE_EXISTS");
    expect(await names()).toEqual(["plain", "sealed"]);
  });

  test("a folder cannot be the target, replaced or not", async () => {
    await mkdir(sealed);
    await expectCode(encryptFile(plain, sealed, options), "ERR_FILE_EXISTS");
    await expectCode(encryptFile(plain, sealed, { ...options, overwrite: true }), "ERR_IO");
    expect(await names()).toEqual(["plain", "sealed"]);
  });
});

describe("nothing is left of", () => {
  const left =
    (message: Uint8Array, code: ErrorCode, more: Partial<DecryptOptions> = {}) =>
    async () => {
      await writeFile(sealed, message);
      await expectCode(decryptFile(sealed, opened, { ...options, ...more }), code);
      expect(await names()).toEqual(["plain", "sealed"]);
      await writeFile(opened, "old");
      await expectCode(decryptFile(sealed, opened, { ...options, ...more, overwrite: true }), code);
      expect(await readFile(opened, "utf8")).toBe("old");
    };

  test("a message damaged in its last byte", async () => {
    for (const suite of [0x0478, 0x0578] as const) {
      const message = await encrypt(plaintext, { ...options, suite });
      await left(flipBit(message, 8 * message.length - 1), "ERR_DECRYPT")();
      await rm(opened);
    }
  });

  test("a message cut short", async () => {
    const message = await encrypt(plaintext, options);
    for (const length of [0, 1, 50, 300, MIB, message.length - 1]) {
      await left(message.subarray(0, length), "ERR_TRUNCATED")();
      await rm(opened);
    }
  });

  test("a message with a byte behind it", async () => {
    await left(concat(await encrypt(plaintext, options), Uint8Array.of(0)), "ERR_TRAILING_BYTES")();
  });

  test("a message for somebody else", async () => {
    const message = await encrypt(plaintext, options);
    await left(message, "ERR_CONTEXT_MISMATCH", { context: { tenant: "globex" } })();
    await rm(opened);
    await left(message, "ERR_NO_KEYRING_MATCHED", { keyring: aesKeyring(1, "other") })();
  });

  test("work that is aborted, at the start, between pieces, and at the end", async () => {
    const reason = { why: "ctrl-c" };
    const aborted = { ...options, signal: AbortSignal.abort(reason) };
    expect(await failureOf(encryptFile(plain, sealed, aborted))).toBe(reason);
    for (const after of [MIB, plaintext.length]) {
      const controller = new AbortController();
      const onProgress: FileOptions["onProgress"] = ({ doneBytes }) => {
        if (doneBytes >= after) controller.abort(reason);
      };
      const given = { ...options, onProgress, signal: controller.signal };
      expect(await failureOf(encryptFile(plain, sealed, given))).toBe(reason);
      expect(await names()).toEqual(["plain"]);
    }
  });

  test("work whose progress listener throws", async () => {
    const thrown = new RangeError("mine");
    const onProgress = () => {
      throw thrown;
    };
    expect(await failureOf(encryptFile(plain, sealed, { ...options, onProgress }))).toBe(thrown);
    expect(await names()).toEqual(["plain"]);
  });

  test("a keyring that fails", async () => {
    const failing: Keyring = {
      generateDataKey: () => Promise.reject(new RangeError("away")),
      wrapDataKey: (request) => keyring.wrapDataKey(request),
      unwrapDataKey: (request) => keyring.unwrapDataKey(request),
    };
    expect(await failureOf(encryptFile(plain, sealed, { ...options, keyring: failing }))).toBeInstanceOf(RangeError);
    expect(await names()).toEqual(["plain"]);
  });

  test("a source that is not there, or a folder", async () => {
    await expectCode(encryptFile(join(folder, "nothing"), sealed, options), "ERR_IO");
    await expectCode(encryptFile(folder, sealed, options), "ERR_IO");
    await expectCode(decryptFile(join(folder, "nothing"), opened, options), "ERR_IO");
    expect(await names()).toEqual(["plain"]);
  });

  test("a target in a folder that is not there, is a file, or may not be written", async () => {
    await expectCode(encryptFile(plain, join(folder, "no", "where"), options), "ERR_IO");
    await expectCode(encryptFile(plain, join(plain, "below"), options), "ERR_IO");
    if (process.getuid?.() !== 0) {
      await mkdir(sealed, { mode: 0o500 });
      await expectCode(encryptFile(plain, join(sealed, "x"), options), "ERR_IO");
    } else {
      await expectCode(encryptFile(plain, "/proc/keyladder-test", options), "ERR_IO");
    }
  });

  test.each([[""], [5], [null], [new URL("https://example.com/x")]])("the path %o", async (path) => {
    await expectCode(encryptFile(path as string, sealed, options), "ERR_INPUT");
    await expectCode(encryptFile(plain, path as string, options), "ERR_INPUT");
    await expectCode(decryptFile(path as string, opened, options), "ERR_INPUT");
  });

  test("options of another verb, or none", async () => {
    await encryptFile(plain, sealed, options);
    await expectCode(decryptFile(sealed, opened, { ...options, out: new Uint8Array(9) }), "ERR_INPUT");
    await expectCode(decryptFile(sealed, opened, undefined as unknown as DecryptOptions), "ERR_INPUT");
    await expectCode(decryptFile(sealed, opened, { ...options, signed: "sometimes" as never }), "ERR_INPUT");
    await expectCode(decryptFile(sealed, opened, { ...options, mode: "0600" as never }), "ERR_INPUT");
    await expectCode(decryptFile(sealed, opened, { ...options, onProgress: "show" as never }), "ERR_INPUT");
    expect(await names()).toEqual(["plain", "sealed"]);
  });

  test('a signed message where signed: "refuse" was asked for', async () => {
    await encryptFile(plain, sealed, { ...options, suite: 0x0578 });
    await expectCode(decryptFile(sealed, opened, { ...options, signed: "refuse" }), "ERR_SIGNED_STREAM");
    const unset = { ...options, signed: undefined } as unknown as DecryptOptions;
    await decryptFile(sealed, opened, unset);
    expectBytes(await readFile(opened), plaintext);
  });
});

describe("a source that changes meanwhile", () => {
  const changing = (change: () => Promise<void>): Keyring => {
    let changed = false;
    const once = async () => {
      if (!changed) await change();
      changed = true;
    };
    return {
      generateDataKey: (request) => once().then(() => keyring.generateDataKey(request)),
      wrapDataKey: (request) => keyring.wrapDataKey(request),
      unwrapDataKey: (request) => once().then(() => keyring.unwrapDataKey(request)),
    };
  };

  test("a file that grows or shrinks while it is sealed: the message holds what was read, and opens", async () => {
    for (const [change, expected] of [
      [() => appendFile(plain, "more"), concat(plaintext, new TextEncoder().encode("more"))],
      [() => truncate(plain, 2 * MIB), plaintext.subarray(0, 2 * MIB)], // the second MiB may have been read ahead
    ] as const) {
      await writeFile(plain, plaintext);
      const given = { ...options, keyring: changing(change), overwrite: true };
      const { plaintextBytes } = await encryptFile(plain, sealed, given);
      expect(plaintextBytes).toBe(expected.length);
      expectBytes((await decrypt(await readFile(sealed), options)).plaintext, expected);
    }
  });

  test("a message that is cut, replaced or extended while it is opened: nothing appears", async () => {
    const message = await encrypt(plaintext, options);
    const other = await encrypt(plaintext, options);
    const replace = async () => {
      const handle = await open(sealed, "r+");
      await handle.write(other.subarray(MIB), 0, undefined, MIB);
      await handle.close();
    };
    for (const [change, code] of [
      [() => truncate(sealed, MIB + 5), "ERR_TRUNCATED"],
      [() => appendFile(sealed, "x"), "ERR_TRAILING_BYTES"],
      [replace, "ERR_DECRYPT"],
    ] as const) {
      await writeFile(sealed, message);
      await expectCode(decryptFile(sealed, opened, { ...options, keyring: changing(change) }), code);
      expect(await names()).toEqual(["plain", "sealed"]);
    }
  });
});
