/** A disk that is full: ERR_IO, nothing left behind, what was there untouched. Needs root, to mount a small one. */

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { encrypt } from "../../src/envelope/encrypt.js";
import { decryptFile, encryptFile } from "../../src/envelope/file.js";
import { aesKeyring, countingBytes, expectBytes, expectCode } from "../kit.js";

const keyring = aesKeyring();
const MIB = 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), "keyladder-disk-"));
const small = join(folder, "small");
mkdirSync(small);

function mounted(): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", small], { stdio: "pipe" });
    return true;
  } catch (error) {
    console.warn(
      `SKIPPED: no small disk to fill, mount says: ${String((error as { stderr?: unknown }).stderr).trim()}`,
    );
    return false;
  }
}

const ready = mounted();
afterAll(() => {
  if (ready) execFileSync("umount", [small]);
  rmSync(folder, { recursive: true });
});

describe.skipIf(!ready)("a full disk", () => {
  const plain = join(folder, "plain");
  const sealed = join(folder, "sealed");
  const target = join(small, "target");

  test("sealing: ERR_IO says that the disk is full, and nothing is left", async () => {
    await writeFile(plain, countingBytes(3 * MIB));
    const error = await expectCode(encryptFile(plain, target, { keyring }), "ERR_IO");
    expect(error.errno).toBe("ENOSPC");
    expect(error.message).toContain("the disk is full");
    expect(await readdir(small)).toEqual([]);
  });

  test("opening: no plaintext is left, and what is replaced stays whole", async () => {
    await writeFile(sealed, await encrypt(countingBytes(3 * MIB), { keyring }));
    await writeFile(target, countingBytes(1000));
    await expectCode(decryptFile(sealed, target, { keyring, overwrite: true }), "ERR_IO");
    expect(await readdir(small)).toEqual(["target"]);
    expectBytes(await readFile(target), countingBytes(1000));
    await rm(target);
  });

  test("the room is there again afterwards", async () => {
    await writeFile(plain, countingBytes(MIB / 2));
    await encryptFile(plain, target, { keyring });
    await decryptFile(target, join(folder, "opened"), { keyring });
    expectBytes(await readFile(join(folder, "opened")), countingBytes(MIB / 2));
  });
});

describe.skipIf(!ready)("a read-only disk", () => {
  test("ERR_IO, for a new file and for one to be replaced", async () => {
    const plain = join(folder, "plain");
    await writeFile(plain, "x");
    await writeFile(join(small, "old"), "old");
    execFileSync("mount", ["-o", "remount,ro", small]);
    for (const name of ["new", "old"]) {
      const error = await expectCode(encryptFile(plain, join(small, name), { keyring, overwrite: true }), "ERR_IO");
      expect(error.errno).toBe("EROFS");
    }
    expect(await readFile(join(small, "old"), "utf8")).toBe("old");
  });
});

test("a disk that refuses writes: ERR_IO", async () => {
  const plain = join(folder, "refused");
  await writeFile(plain, "x");
  await expectCode(encryptFile(plain, "/proc/keyladder-test", { keyring }), "ERR_IO");
});
