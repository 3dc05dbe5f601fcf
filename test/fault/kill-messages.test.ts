import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decrypt, KeyladderError, openLadder, softwareHsm, sqliteStore } from "../../src/index.js";

/** `SLOW=1` plays the hundred kills of the acceptance run. */
const KILLS = process.env.SLOW === "1" ? 100 : 4;
const CHILD = join(import.meta.dirname, "kill-child.mjs");

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "keyladder-kill-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Runs the child, kills it with SIGKILL `ms` after it is ready, and returns the whole lines it wrote. */
async function killAfter(work: string, ms: number): Promise<string[]> {
  const child = spawn(process.execPath, [CHILD, work, folder], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  let ready: () => void = () => undefined;
  const started = new Promise<void>((resolve) => {
    ready = resolve;
  });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (output.includes("ready\n")) ready();
  });
  const closed = new Promise<NodeJS.Signals | null>((resolve) =>
    child.once("close", (_code, signal) => resolve(signal)),
  );
  await Promise.race([started, closed]);
  await sleep(ms);
  child.kill("SIGKILL");
  expect(await closed).toBe("SIGKILL");
  return output.split("\n").slice(1, -1);
}

const openHere = () =>
  openLadder({
    hsm: softwareHsm({ file: join(folder, "token"), keyFile: join(folder, "key") }),
    store: sqliteStore({ file: join(folder, "store.db") }),
    create: "if-missing",
  });

describe("kill -9", () => {
  it(`${KILLS} times while keys are made: every acknowledged key is there and opens its messages`, async () => {
    await (await openHere()).close();
    const acknowledged: string[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      acknowledged.push(...(await killAfter("keys", Math.random() * 400)));
      const ladder = await openHere();
      const sample = acknowledged.slice(-40);
      for (const line of sample) {
        const [keyId = "", message = ""] = line.split(" ");
        expect((await ladder.keys.describe(keyId)).keyState).toBe("active");
        const opened = await ladder.decrypt(Buffer.from(message, "base64"));
        expect(opened.text()).toBe(keyId);
      }
      await ladder.close();
    }
    expect(acknowledged.length).toBeGreaterThan(KILLS);
    const ladder = await openHere();
    for (const line of acknowledged) {
      const [keyId = "", message = ""] = line.split(" ");
      expect((await ladder.decrypt(Buffer.from(message, "base64"))).text()).toBe(keyId);
    }
    let listed = 0;
    for await (const _ of ladder.keys.list()) listed++;
    expect(listed).toBeGreaterThanOrEqual(acknowledged.length);
    console.log(`${KILLS} kills, ${acknowledged.length} keys acknowledged, ${listed} in the store, none lost`);
    await ladder.close();
  }, 600_000);

  it("while keysets are made and rotated: every acknowledged record opens", async () => {
    await (await openHere()).close();
    const acknowledged: string[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      acknowledged.push(...(await killAfter("records", Math.random() * 400)));
      const ladder = await openHere();
      for (const line of acknowledged) {
        const [keyset = "", record = ""] = line.split(" ");
        const records = await ladder.records({ key: "orders", keyset, create: false });
        expect(Buffer.from(records.open(Buffer.from(record, "base64"))).toString()).toBe(keyset);
        records[Symbol.dispose]();
      }
      await ladder.close();
    }
    expect(acknowledged.length).toBeGreaterThan(0);
  }, 600_000);

  it("while a file is sealed: the file is absent or whole", async () => {
    const plaintext = randomBytes(8 * 1024 * 1024);
    await writeFile(join(folder, "plain"), plaintext);
    for (let kill = 0; kill < Math.min(KILLS, 20); kill++) {
      await killAfter("file", Math.random() * 150);
      const sealed = await readFile(join(folder, "sealed")).catch(() => undefined);
      if (sealed === undefined) continue;
      const ladder = await openHere();
      const opened = await decrypt(sealed, { keyring: ladder.keyring() }).catch((error) => error);
      expect(KeyladderError.is(opened), String(opened)).toBe(false);
      expect(Buffer.compare(opened.plaintext, plaintext)).toBe(0);
      await ladder.close();
    }
  }, 600_000);
});
