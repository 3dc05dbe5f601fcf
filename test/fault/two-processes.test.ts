/** Several processes over one store and one token, at once. They run the built package: `npm run build` first. */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { keyring, request, unwrapper, World } from "../unit/kms/world.js";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));

let world: World;
beforeEach(() => {
  if (!existsSync(join(DIST, "kms", "kms.js"))) throw new Error("dist/ is missing: npm run build");
  world = new World();
});
afterEach(() => world.close());

/** Runs `body` in a process of its own, over this world's ladder; it returns what is printed as JSON. */
function inProcess<T>(body: string): Promise<T> {
  const script = `
    const dist = ${JSON.stringify(DIST)};
    const { softwareHsm } = await import(dist + "hsm/software/driver.js");
    const { sqliteStore } = await import(dist + "store/sqlite.js");
    const { openKms } = await import(dist + "kms/kms.js");
    const { ladderKeyring } = await import(dist + "keyring/ladder.js");
    const hsm = await softwareHsm({ file: ${JSON.stringify(join(world.folder, "token"))}, keyFile: ${JSON.stringify(join(world.folder, "token.key"))} }).open({ create: true });
    const store = await sqliteStore({ file: ${JSON.stringify(world.file)} }).open({ create: true });
    const kms = await openKms({ hsm, store, create: true, limits: { wrapsPerLease: 2, wrapsPerKekVersion: 6, commitTries: 100 } });
    const keys = kms.keys("default");
    const result = await (async () => { ${body} })();
    await store.close();
    await hsm.close();
    console.log(JSON.stringify(result));`;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
    let out = "";
    let errors = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    child.stderr.on("data", (chunk) => {
      errors += chunk;
    });
    child.on("close", (code) => (code === 0 ? resolve(JSON.parse(out)) : reject(new Error(errors))));
  });
}

test("a fresh ladder opened by four processes is one ladder", async () => {
  const ids = await Promise.all(
    Array.from({ length: 4 }, () => inProcess<string>("return Buffer.from(kms.storeId).toString('hex');")),
  );
  expect(new Set(ids).size).toBe(1);
});

test("different keys at once: all are there, and open in another process", async () => {
  await world.open();
  const create = (name: string) => `
    const made = [];
    for (let i = 0; i < 8; i++) made.push((await keys.create({ alias: "${name}" + i, protection: i % 2 ? "resident" : "wrapped" })).keyId);
    return made;`;
  const made = await Promise.all(["a", "b", "c"].map((name) => inProcess<string[]>(create(name))));
  const { kms } = await world.open({ create: false });
  expect(await kms.countKeys()).toBe(24);
  expect(await kms.orphanedResidentCmks()).toEqual([]);
  for (const [process, ids] of made.entries()) {
    for (const [i, keyId] of ids.entries()) {
      expect((await kms.keys("default").describe("abc"[process] + String(i))).keyId).toBe(keyId);
      const { encryptedDataKeys } = await keyring(kms, keyId).generateDataKey(request());
      expect(await unwrapper(kms).unwrapDataKey({ ...request(), encryptedDataKeys })).toMatchObject({ keyId });
    }
  }
});

test("the same alias at once: one key, for everyone", async () => {
  await world.open();
  const create = `return (await keys.create({ alias: "orders", tenant: "acme", protection: "resident", ifExists: "return" })).keyId;`;
  const ids = await Promise.all(Array.from({ length: 4 }, () => inProcess<string>(create)));
  expect(new Set(ids).size).toBe(1);
  const { kms } = await world.open({ create: false });
  expect(await kms.countKeys()).toBe(1);
  expect(await kms.orphanedResidentCmks()).toEqual([]);
});

test("the same alias at once, existing ones refused: one wins", async () => {
  await world.open();
  const create = `return keys.create({ alias: "orders" }).then(() => "made", (error) => error.code);`;
  const results = await Promise.all(Array.from({ length: 4 }, () => inProcess<string>(create)));
  expect(results.sort()).toEqual(["ERR_KEY_EXISTS", "ERR_KEY_EXISTS", "ERR_KEY_EXISTS", "made"]);
});

test("sealing past the cap and rotating at once: no KEK version above its cap, every message opens", async () => {
  const { kms } = await world.open();
  await kms.keys("default").create({ alias: "orders" });
  const context = JSON.stringify(request().context);
  const seal = `
    const made = [];
    for (let i = 0; i < 15; i++) {
      const request = { suite: 0x0478, dataKeyBytes: 32, context: ${context}, contextBytes: Buffer.from(${JSON.stringify(Buffer.from(request().contextBytes).toString("hex"))}, "hex") };
      const { encryptedDataKeys: [edk] } = await ladderKeyring(kms, "default", "orders").generateDataKey(request);
      made.push([Buffer.from(edk.providerInfo).toString("hex"), Buffer.from(edk.ciphertext).toString("hex")]);
    }
    return made;`;
  const rotate = `for (let i = 0; i < 3; i++) await keys.rotate("orders"); return [];`;
  const made = await Promise.all([seal, seal, rotate].map((body) => inProcess<[string, string][]>(body)));
  const uses = new Map<string, number>();
  for (const [info, sealed] of made.flat()) {
    uses.set(info, (uses.get(info) ?? 0) + 1);
    const [providerInfo, ciphertext] = [Buffer.from(info, "hex"), Buffer.from(sealed, "hex")];
    const encryptedDataKeys = [{ providerId: "keyladder", providerInfo, ciphertext }];
    const opened = await unwrapper(kms).unwrapDataKey({ ...request(), encryptedDataKeys });
    expect(opened?.keyVersion).toBeGreaterThanOrEqual(1);
  }
  expect(made.flat().length).toBe(30);
  for (const count of uses.values()) expect(count).toBeLessThanOrEqual(6);
  expect((await kms.keys("default").describe("orders")).keyVersion).toBe(4);
});
