/** kill -9 while keys are made: what was acknowledged is there, and opens. Runs the built package. `SLOW=1`: 100 kills. */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { keyring, request, unwrapper, World } from "../unit/kms/world.js";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
const KILLS = process.env.SLOW === "1" ? 100 : 16;
const AT_ONCE = 4;

let world: World;
beforeEach(() => {
  if (!existsSync(join(DIST, "kms", "kms.js"))) throw new Error("dist/ is missing: npm run build");
  world = new World();
});
afterEach(() => world.close());

/** Makes keys without end, printing each once it is made, until it is killed. Returns what was acknowledged. */
async function makeUntilKilled(afterMs: number): Promise<string[]> {
  const script = `
    const dist = ${JSON.stringify(DIST)};
    const { softwareHsm } = await import(dist + "hsm/software/driver.js");
    const { sqliteStore } = await import(dist + "store/sqlite.js");
    const { openKms } = await import(dist + "kms/kms.js");
    const [token, file] = process.argv.slice(1);
    const hsm = await softwareHsm({ file: token, keyFile: token + ".key" }).open({ create: false });
    const store = await sqliteStore({ file }).open({ create: false });
    const keys = (await openKms({ hsm, store, create: false, limits: { commitTries: 100 } })).keys("default");
    console.log("ready");
    for (let i = 0; ; i++) console.log((await keys.create({ protection: i % 2 ? "resident" : "wrapped" })).keyId);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script, join(world.folder, "token"), world.file]);
  let out = "";
  let errors = "";
  const ready = new Promise<void>((resolve) => {
    child.stdout.on("data", (chunk) => {
      out += chunk;
      resolve();
    });
    child.on("close", () => resolve());
  });
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const closed = new Promise((resolve) => child.on("close", resolve));
  await ready;
  await delay(afterMs);
  child.kill("SIGKILL");
  await closed;
  expect(errors).toBe("");
  // The last line may be cut: it counts only where it is whole.
  return out.split("\n").slice(1, -1);
}

test(`${KILLS} processes killed while making keys: every acknowledged key opens its messages`, {
  timeout: 300_000,
}, async () => {
  const { kms: before } = await world.open();
  await before.keys("default").create({ alias: "orders" });
  const { encryptedDataKeys: old } = await keyring(before, "orders").generateDataKey(request());

  const acknowledged: string[] = [];
  for (let done = 0; done < KILLS; done += AT_ONCE) {
    const killed = Array.from({ length: AT_ONCE }, () => makeUntilKilled(Math.random() * 150));
    acknowledged.push(...(await Promise.all(killed)).flat());
  }
  expect(world.attack((database) => database.pragma("quick_check"))).toEqual([{ quick_check: "ok" }]);

  const { kms } = await world.open({ create: false });
  for (const keyId of acknowledged) {
    const { encryptedDataKeys } = await keyring(kms, keyId).generateDataKey(request());
    expect(await unwrapper(kms).unwrapDataKey({ ...request(), encryptedDataKeys })).toMatchObject({ keyId });
  }
  expect(await unwrapper(kms).unwrapDataKey({ ...request(), encryptedDataKeys: old })).toMatchObject({ keyVersion: 1 });
  expect(acknowledged.length).toBeGreaterThan(0);
  // Whole keys only: each one listed can be described, and what else the HSM holds is known to be nobody's.
  let listed = 0;
  for await (const key of kms.keys("default").list()) listed += key.versions.length;
  expect(listed).toBeGreaterThanOrEqual(acknowledged.length + 1);
  expect((await kms.orphanedResidentCmks()).length).toBeLessThanOrEqual(KILLS);
});
