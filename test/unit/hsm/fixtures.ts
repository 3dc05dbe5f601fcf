/** Tokens for the tests of this room: in folders of their own, and (key files, cheap scrypt) quick to open. */

import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { HsmDriver, HsmSession } from "../../../src/hsm/port.js";
import { softwareDriver } from "../../../src/hsm/software/driver.js";
import { freshSalt, type Kdf, keyFromPassphrase } from "../../../src/hsm/software/file-key.js";
import type { TokenContents } from "../../../src/hsm/software/token-contents.js";
import { sealToken } from "../../../src/hsm/software/token-format.js";

const folders: string[] = [];
const sessions: HsmSession[] = [];

afterAll(async () => {
  await Promise.all(sessions.map((session) => session.close()));
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
});

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "keyladder-hsm-"));
  folders.push(folder);
  return folder;
}

/** A driver under a key file (no scrypt) in a new folder. */
export async function keyFileToken(): Promise<{ folder: string; file: string; keyFile: string; driver: HsmDriver }> {
  const folder = await temporaryFolder();
  const file = join(folder, "token");
  const keyFile = join(folder, "key");
  return { folder, file, keyFile, driver: softwareDriver({ file, keyFile }) };
}

export async function openSession(driver: HsmDriver, create = true): Promise<HsmSession> {
  const session = await driver.open({ create });
  sessions.push(session);
  return session;
}

/** A new token, opened. */
export async function freshSession(): Promise<HsmSession> {
  return openSession((await keyFileToken()).driver);
}

/** scrypt at the cheapest that is allowed, so that a test can derive often. */
function cheapKdf(): Kdf & { kind: "scrypt" } {
  return { kind: "scrypt", log2N: 14, r: 8, p: 1, salt: freshSalt() };
}

/** Writes a token file with the contents given, under a passphrase. */
export async function writeToken(file: string, passphrase: string, contents: TokenContents): Promise<void> {
  const kdf = cheapKdf();
  const key = await keyFromPassphrase(Buffer.from(passphrase), kdf);
  await writeFile(file, sealToken(kdf, key, contents), { mode: 0o600 });
}

export async function writeKeyFile(path: string, bytes: number, mode: number): Promise<void> {
  await writeFile(path, randomBytes(bytes));
  await chmod(path, mode);
}

/** A copy with one bit of one byte changed. */
export function flipBit(bytes: Uint8Array, at: number, bit = 0): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[at] = (copy[at] as number) ^ (1 << bit);
  return copy;
}
