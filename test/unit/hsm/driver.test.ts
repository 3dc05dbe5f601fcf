import { readFileSync, writeFileSync } from "node:fs";
import {
  chmod,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { label } from "../../../src/bytes.js";
import type { HsmSession } from "../../../src/hsm/port.js";
import { type SoftwareHsmOptions, softwareDriver, softwareHsm } from "../../../src/hsm/software/driver.js";
import { freshSalt } from "../../../src/hsm/software/file-key.js";
import { KeyCache } from "../../../src/hsm/software/key-cache.js";
import { freshContents, freshKey } from "../../../src/hsm/software/token-contents.js";
import { createTokenFile, TokenFile } from "../../../src/hsm/software/token-file.js";
import { parseToken, sealToken } from "../../../src/hsm/software/token-format.js";
import { flipBit, keyFileToken, openSession, temporaryFolder, writeKeyFile, writeToken } from "./fixtures.js";

const coded = (code: string) => expect.objectContaining({ code });
const modeOf = async (path: string) => (await stat(path)).mode & 0o777;
const hexes = (ids: Uint8Array[]) => ids.map((id) => Buffer.from(id).toString("hex")).sort();

async function sealOf(session: HsmSession): Promise<Uint8Array> {
  return (await session.mac({ role: "seal", data: Buffer.from("same key, same tag") })).tag;
}

/** A token whose scrypt is cheap, for tests that open often. */
async function cheapToken(passphrase: string): Promise<string> {
  const file = join(await temporaryFolder(), "token");
  await writeToken(file, passphrase, freshContents("t"));
  return file;
}

describe("options", () => {
  const wrong: [string, unknown][] = [
    ["nothing", undefined],
    ["no file", { passphrase: "p" }],
    ["an empty file name", { file: "", passphrase: "p" }],
    ["a zero byte in the file name", { file: "a\0b", passphrase: "p" }],
    ["a URL that is no file", { file: new URL("https://example.com/token"), passphrase: "p" }],
    ["neither passphrase nor key file", { file: "t" }],
    ["both", { file: "t", passphrase: "p", keyFile: "k" }],
    ["an empty passphrase", { file: "t", passphrase: "" }],
    ["an empty array", { file: "t", passphrase: new Uint8Array(0) }],
    ["a number", { file: "t", passphrase: 12345 }],
    ["a lone surrogate", { file: "t", passphrase: "a\ud800" }],
    ["one file as token and key", { file: "t", keyFile: "./t" }],
    ["an empty key file name", { file: "t", keyFile: "" }],
  ];
  it.each(wrong)("%s is refused at once", (_title, options) => {
    expect(() => softwareHsm(options as SoftwareHsmOptions)).toThrow(coded("ERR_INPUT"));
  });

  it("nothing is read, written or asked before open", async () => {
    const file = join(await temporaryFolder(), "deep", "token");
    const passphrase = vi.fn(() => "p");
    expect(softwareHsm({ file, passphrase }).kind).toBe("software");
    expect(passphrase).not.toHaveBeenCalled();
    await expect(stat(join(file, ".."))).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("under a passphrase", () => {
  it("makes a token once, opens it again, refuses another passphrase", async () => {
    const file = join(await temporaryFolder(), "a", "b", "token");
    const passphrase = vi.fn(async () => "correct horse");
    const made = await openSession(softwareDriver({ file, passphrase }));
    expect(passphrase).toHaveBeenCalledTimes(1);
    expect(await modeOf(file)).toBe(0o600);
    expect(await modeOf(join(file, ".."))).toBe(0o700);
    expect(await readdir(join(file, ".."))).toEqual(["token"]);
    expect(parseToken(await readFile(file)).kdf).toMatchObject({ kind: "scrypt", log2N: 17, r: 8, p: 1 });
    const bytes = Buffer.from("correct horse");
    const opened = await openSession(softwareDriver({ file: pathToFileURL(file), passphrase: bytes }), false);
    expect(bytes.toString()).toBe("correct horse"); // borrowed, not wiped
    expect(await opened.info()).toEqual(await made.info());
    expect(await sealOf(opened)).toEqual(await sealOf(made));
    const wrong = softwareDriver({ file, passphrase: "correct hors" });
    await expect(wrong.open({ create: true })).rejects.toEqual(coded("ERR_PASSPHRASE"));
  });

  it("takes the passphrase as given, never normalised", async () => {
    const file = await cheapToken("caf\u00e9");
    await openSession(softwareDriver({ file, passphrase: "caf\u00e9" }), false);
    const decomposed = softwareDriver({ file, passphrase: "cafe\u0301" });
    await expect(decomposed.open({ create: false })).rejects.toEqual(coded("ERR_PASSPHRASE"));
  });

  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["an empty text", ""],
    ["a number", 7],
  ])("refuses a function that gives %s", async (_title, given) => {
    const file = await cheapToken("p");
    const driver = softwareDriver({ file, passphrase: () => given as string });
    await expect(driver.open({ create: false })).rejects.toEqual(coded("ERR_INPUT"));
  });

  it("passes on what the function throws", async () => {
    const cancelled = new Error("cancelled by the user");
    const file = await cheapToken("p");
    const driver = softwareDriver({ file, passphrase: () => Promise.reject(cancelled) });
    await expect(driver.open({ create: false })).rejects.toBe(cancelled);
  });

  it("no token and no leave to make one: ERR_LADDER_NOT_FOUND, and nobody is asked", async () => {
    const file = join(await temporaryFolder(), "token");
    const passphrase = vi.fn(() => "p");
    await expect(softwareDriver({ file, passphrase }).open({ create: false })).rejects.toMatchObject({
      code: "ERR_LADDER_NOT_FOUND",
      message: expect.stringContaining(file),
    });
    expect(passphrase).not.toHaveBeenCalled();
  });
});

describe("a damaged file", () => {
  it("reads like a wrong passphrase where any part of what is authenticated changed", async () => {
    const file = await cheapToken("p");
    const good = await readFile(file);
    const failure = await softwareDriver({ file, passphrase: "q" })
      .open({ create: false })
      .catch((error) => error);
    const kdfAt = label("keyladder/software-token").length + 1;
    const saltAt = kdfAt + 4;
    const nonceAt = saltAt + 32;
    const sealedAt = nonceAt + 12 + 4;
    // log2 N, p, the salt's ends, the nonce's ends, the sealed part's start, every 37th byte of it, the tag
    const places = [
      kdfAt + 1,
      kdfAt + 3,
      saltAt,
      nonceAt - 1,
      nonceAt,
      sealedAt - 5,
      sealedAt,
      good.length - 16,
      good.length - 1,
    ];
    for (let at = sealedAt; at < good.length; at += 37) places.push(at);
    for (const at of places) {
      await writeFile(file, flipBit(good, at, at === kdfAt + 1 ? 0 : 1)); // log2 N: still within bounds
      const error = await softwareDriver({ file, passphrase: "p" })
        .open({ create: true })
        .catch((reason) => reason);
      expect(error, `byte ${at}`).toMatchObject({ code: "ERR_PASSPHRASE", message: failure.message });
      expect(error.cause).toBeUndefined();
    }
    await writeFile(file, good);
    await openSession(softwareDriver({ file, passphrase: "p" }), false);
  });

  it("is ERR_TRUNCATED cut at every length, with create too, and is left as it is; nobody is asked", async () => {
    const file = await cheapToken("p");
    const good = await readFile(file);
    const passphrase = vi.fn(() => "p");
    for (let length = 0; length < good.length; length++) {
      await writeFile(file, good.subarray(0, length));
      const opening = softwareDriver({ file, passphrase }).open({ create: true });
      await expect(opening).rejects.toEqual(coded("ERR_TRUNCATED"));
      expect((await stat(file)).size).toBe(length);
    }
    expect(passphrase).not.toHaveBeenCalled();
  });

  it("is refused when it is another file, too large, or no file at all", async () => {
    const file = await cheapToken("p");
    const open = (path: string) => softwareDriver({ file: path, passphrase: "p" }).open({ create: true });
    await writeFile(file, "just some text, not a token");
    await expect(open(file)).rejects.toEqual(coded("ERR_FORMAT"));
    await writeFile(file, Buffer.alloc((1 << 24) + 1));
    await expect(open(file)).rejects.toEqual(coded("ERR_FORMAT"));
    await expect(open(join(file, ".."))).rejects.toEqual(coded("ERR_HSM_REFUSED"));
  });
});

describe("under a key file", () => {
  it("makes 32 random bytes for the owner only, and opens with them again", async () => {
    const { folder, file, keyFile, driver } = await keyFileToken();
    const made = await openSession(driver);
    expect(await modeOf(keyFile)).toBe(0o600);
    expect(await modeOf(file)).toBe(0o600);
    expect(readFileSync(keyFile)).toHaveLength(32);
    expect((await readdir(folder)).sort()).toEqual(["key", "token"]);
    expect(await sealOf(await openSession(driver, false))).toEqual(await sealOf(made));
  });

  it("uses a key file that is there already, unchanged", async () => {
    const { keyFile, driver } = await keyFileToken();
    await writeKeyFile(keyFile, 32, 0o400);
    const before = await readFile(keyFile);
    await openSession(driver);
    expect(await readFile(keyFile)).toEqual(before);
  });

  it.each([0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644])("refuses a key file of mode %o", async (mode) => {
    const { file, keyFile, driver } = await keyFileToken();
    await writeKeyFile(keyFile, 32, mode);
    await expect(driver.open({ create: true })).rejects.toEqual(coded("ERR_HSM_REFUSED"));
    await expect(stat(file)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it.each([0, 31, 33, 64])("refuses a key file of %i bytes", async (bytes) => {
    const { keyFile, driver } = await keyFileToken();
    await writeKeyFile(keyFile, bytes, 0o600);
    await expect(driver.open({ create: true })).rejects.toEqual(coded("ERR_HSM_REFUSED"));
  });

  it("refuses another key file, and says when it is gone: it is never made anew beside a token", async () => {
    const { keyFile, driver } = await keyFileToken();
    await openSession(driver);
    await writeKeyFile(keyFile, 32, 0o600);
    await expect(driver.open({ create: true })).rejects.toEqual(coded("ERR_PASSPHRASE"));
    await unlink(keyFile);
    await expect(driver.open({ create: true })).rejects.toEqual(coded("ERR_HSM_REFUSED"));
    await expect(stat(keyFile)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("tells a token sealed the other way", async () => {
    const { file, driver } = await keyFileToken();
    await openSession(driver);
    const passphrase = vi.fn(() => "p");
    await expect(softwareDriver({ file, passphrase }).open({ create: false })).rejects.toEqual(
      coded("ERR_HSM_REFUSED"),
    );
    expect(passphrase).not.toHaveBeenCalled();
    const sealed = await cheapToken("p");
    const keyFile = join(sealed, "..", "key");
    await writeKeyFile(keyFile, 32, 0o600);
    const other = softwareDriver({ file: sealed, keyFile });
    await expect(other.open({ create: false })).rejects.toEqual(coded("ERR_HSM_REFUSED"));
  });
});

describe("where files cannot be", () => {
  it.each([0o620, 0o602, 0o666])("refuses a token file of mode %o", async (mode) => {
    const { file, driver } = await keyFileToken();
    await openSession(driver);
    await chmod(file, mode);
    await expect(driver.open({ create: false })).rejects.toEqual(coded("ERR_HSM_REFUSED"));
  });

  // Tests may run as root, whom no mode stops: a file in a folder's place, and /proc, stop root as well.
  it("a folder that takes no files is ERR_IO, and nothing is left behind", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "in-the-way"), "");
    const file = join(folder, "in-the-way", "token");
    const driver = softwareDriver({ file, keyFile: join(folder, "key") });
    await expect(driver.open({ create: true })).rejects.toEqual(coded("ERR_IO"));
    await expect(driver.open({ create: false })).rejects.toEqual(coded("ERR_IO"));
    expect(await readdir(folder)).toEqual(["in-the-way"]);
  });

  it.skipIf(process.platform !== "linux")("a read-only file system is ERR_IO", async () => {
    const folder = await temporaryFolder();
    await writeKeyFile(join(folder, "key"), 32, 0o600);
    const driver = softwareDriver({ file: "/proc/token", keyFile: join(folder, "key") });
    await expect(driver.open({ create: true })).rejects.toEqual(coded("ERR_IO"));
  });
});

describe("resident keys, shared by sessions", () => {
  it("two sessions adding at once lose nothing, and see each other's keys without opening anew", async () => {
    const { folder, driver } = await keyFileToken();
    const [one, two] = [await openSession(driver), await openSession(driver)];
    const add = (session: HsmSession) => session.generateCmk({ residence: "resident" });
    const added = await Promise.all(Array.from({ length: 12 }, (_, i) => add(i % 2 === 0 ? one : two)));
    const ids = hexes(added.map((cmk) => (cmk.residence === "resident" ? cmk.objectId : new Uint8Array(0))));
    expect(new Set(ids).size).toBe(12);
    for (const session of [one, two, await openSession(driver, false)]) {
      expect(hexes(await session.listResidentCmks())).toEqual(ids);
      for (const cmk of added) await session.generateKek({ cmk });
    }
    expect((await readdir(folder)).sort()).toEqual(["key", "token"]); // no lock, no temporary file
  });

  it("a key destroyed in one session is gone in the other, and what was under it does not open", async () => {
    const { driver } = await keyFileToken();
    const [one, two] = [await openSession(driver), await openSession(driver)];
    const cmk = await one.generateCmk({ residence: "resident" });
    if (cmk.residence !== "resident") throw new TypeError("expected a resident CMK");
    const path = { cmk, kek: await one.generateKek({ cmk }) };
    const aad = new Uint8Array(1);
    const sealed = await two.generateDataKey({ path, bytes: 32, aad });
    expect(await two.unwrapDataKey({ path, sealed, aad })).toEqual(sealed.dataKey);
    const forget = vi.spyOn(KeyCache.prototype, "clear");
    await one.destroyResidentCmk(cmk.objectId);
    expect(forget).toHaveBeenCalledTimes(1);
    await one.destroyResidentCmk(cmk.objectId); // already gone: no error
    for (const session of [one, two]) {
      await expect(session.unwrapDataKey({ path, sealed, aad })).rejects.toEqual(coded("ERR_HSM_REFUSED"));
      expect(await session.listResidentCmks()).toEqual([]);
    }
    expect(forget).toHaveBeenCalledTimes(2); // once a session: the unwrapped KEK went with its CMK
    forget.mockRestore();
  });

  it("a lock left by a process that died is broken", async () => {
    const { file, driver } = await keyFileToken();
    const session = await openSession(driver);
    await mkdir(`${file}.lock`);
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(`${file}.lock`, longAgo, longAgo);
    await session.generateCmk({ residence: "resident" });
    expect(await session.listResidentCmks()).toHaveLength(1);
  });

  it("a writer whose lock was broken by a rival does not undo what the rival wrote", async () => {
    const file = join(await temporaryFolder(), "token");
    const fileKey = freshKey();
    const kdf = { kind: "key-file", salt: freshSalt() } as const;
    await createTokenFile(file, kdf, fileKey, freshContents("t"));
    const token = await TokenFile.at(file, kdf, fileKey);
    const update = token.update((contents) => {
      writeFileSync(file, sealToken(kdf, fileKey, { ...contents, generation: 2n, label: "the rival's" }));
      return { ...contents, label: "ours" };
    });
    await expect(update).rejects.toMatchObject({ code: "ERR_HSM_UNAVAILABLE", retryable: true });
    expect((await token.load()).contents.label).toBe("the rival's");
    expect(await readdir(join(file, ".."))).toEqual(["token"]);
  });

  it("a change through a symbolic link keeps the link", async () => {
    const { folder, file, keyFile, driver } = await keyFileToken();
    await openSession(driver);
    const link = join(folder, "link");
    await symlink(file, link);
    const session = await openSession(softwareDriver({ file: link, keyFile }), false);
    await session.generateCmk({ residence: "resident" });
    expect(await (await openSession(driver, false)).listResidentCmks()).toHaveLength(1);
  });
});

describe("a file changed under an open session", () => {
  it("an older copy put back is refused", async () => {
    const { file, driver } = await keyFileToken();
    const session = await openSession(driver);
    await copyFile(file, `${file}.old`);
    await session.generateCmk({ residence: "resident" });
    await rename(`${file}.old`, file);
    await expect(session.listResidentCmks()).rejects.toEqual(coded("ERR_HSM_REFUSED"));
    await expect(session.generateCmk({ residence: "resident" })).rejects.toEqual(coded("ERR_HSM_REFUSED"));
  });

  it("another token in its place is refused; a file that is gone is ERR_HSM_UNAVAILABLE", async () => {
    const { file, driver } = await keyFileToken();
    const session = await openSession(driver);
    await session.listResidentCmks();
    const other = await keyFileToken();
    await openSession(other.driver);
    await copyFile(other.file, file);
    await expect(session.listResidentCmks()).rejects.toEqual(coded("ERR_PASSPHRASE"));
    await unlink(file);
    await expect(session.listResidentCmks()).rejects.toEqual(coded("ERR_HSM_UNAVAILABLE"));
    await expect(session.generateCmk({ residence: "resident" })).rejects.toEqual(coded("ERR_HSM_UNAVAILABLE"));
    expect(await session.generateCmk({ residence: "wrapped" })).toMatchObject({ residence: "wrapped" });
  });
});
