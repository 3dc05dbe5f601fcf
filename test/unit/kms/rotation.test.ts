import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { KeyladderError } from "../../../src/errors.js";
import type { Kms } from "../../../src/kms/kms.js";
import { keyring, request, unwrapper, World } from "./world.js";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

async function seal(kms: Kms, key = "orders") {
  const { dataKey, ...made } = await keyring(kms, key).generateDataKey(request());
  dataKey[Symbol.dispose]();
  return made;
}

async function openVersion(kms: Kms, { encryptedDataKeys }: Awaited<ReturnType<typeof seal>>) {
  const opened = await unwrapper(kms).unwrapDataKey({ ...request(), encryptedDataKeys });
  opened?.dataKey[Symbol.dispose]();
  return opened?.keyVersion;
}

describe.each(["wrapped", "resident"] as const)("rotating a %s CMK", (protection) => {
  test("new messages use the new version, old ones open as before", async () => {
    const { kms } = await world.open();
    const keys = kms.keys("default");
    const created = await keys.create({ alias: "orders", protection, rotationPeriod: "90d" });
    const old = await seal(kms);
    world.time += 1000;
    const rotated = await keys.rotate("orders");
    expect(rotated).toMatchObject({
      keyId: created.keyId,
      keyVersion: 2,
      versions: [
        { version: 1, state: "deactivated" },
        { version: 2, state: "active", createdAt: new Date(world.time) },
      ],
      nextRotationAt: new Date(world.time + 90 * 86_400_000),
    });
    const young = await seal(kms);
    expect(young.keyVersion).toBe(2);
    await keys.rotate("orders");
    for (const someone of [kms, (await world.open()).kms]) {
      expect(await openVersion(someone, old)).toBe(1);
      expect(await openVersion(someone, young)).toBe(2);
    }
    const tree = await kms.tree("orders", "default");
    expect(tree.versions.map(({ residence }) => residence)).toEqual([protection, protection, protection]);
    // Each version of the CMK began a line of KEKs; all are wrapped by the newest.
    expect(tree.keks.map(({ originVersion }) => originVersion)).toEqual([1, 1, 2, 2, 3, 3]);
    expect(tree.keks.every(({ parentVersion }) => parentVersion === 3)).toBe(true);
    expect(tree.keks.filter(({ state }) => state === "active").length).toBe(1);
  });
});

describe("KEK versions and their leases", () => {
  test("go on to the next version at the cap, and all open", async () => {
    const { kms } = await world.open({ limits: { wrapsPerLease: 2, wrapsPerKekVersion: 4 } });
    await kms.keys("default").create({ alias: "orders" });
    const messages: Awaited<ReturnType<typeof seal>>[] = [];
    for (let i = 0; i < 10; i++) messages.push(await seal(kms));
    const versions = messages.map(({ encryptedDataKeys: [edk] }) => edk?.providerInfo[52]);
    expect(versions).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 3, 3]);
    for (const message of messages) expect(await openVersion(kms, message)).toBe(1);
    const { keks } = await kms.tree("orders", "default");
    expect(keks.map(({ version, state, leased }) => ({ version, state, leased }))).toEqual([
      { version: 1, state: "deactivated", leased: 4 },
      { version: 2, state: "deactivated", leased: 4 },
      { version: 3, state: "active", leased: 2 },
      { version: 4, state: "pre-active", leased: 0 },
    ]);
  });

  test("a crash wastes what is left of a lease, never repeats it", async () => {
    const limits = { wrapsPerLease: 4, wrapsPerKekVersion: 12 };
    for (let process = 1; process <= 3; process++) {
      const { kms } = await world.open({ limits });
      await kms.keys("default").create({ alias: "orders", ifExists: "return" });
      const { encryptedDataKeys } = await seal(kms);
      expect(encryptedDataKeys[0]?.providerInfo[52]).toBe(1);
      expect((await kms.tree("orders", "default")).keks[0]?.leased).toBe(4 * process);
    }
    const { kms } = await world.open({ limits });
    expect((await seal(kms)).encryptedDataKeys[0]?.providerInfo[52]).toBe(2);
  });

  test("many at once, in two processes, never pass the cap", async () => {
    const limits = { wrapsPerLease: 3, wrapsPerKekVersion: 7 };
    const one = (await world.open({ limits })).kms;
    const two = (await world.open({ limits })).kms;
    await one.keys("default").create({ alias: "orders" });
    const made = await Promise.all(Array.from({ length: 40 }, (_, i) => seal(i % 2 ? one : two)));
    const uses = new Map<number, number>();
    for (const { encryptedDataKeys } of made) {
      const version = encryptedDataKeys[0]?.providerInfo[52] as number;
      uses.set(version, (uses.get(version) ?? 0) + 1);
    }
    for (const count of uses.values()) expect(count).toBeLessThanOrEqual(7);
    for (const message of made) expect(await openVersion(two, message)).toBe(1);
    const { keks } = await one.tree("orders", "default");
    for (const { leased } of keks) expect(leased).toBeLessThanOrEqual(7);
  });

  test("rotation and rollover at once: whoever is late tries again", async () => {
    const limits = { wrapsPerLease: 2, wrapsPerKekVersion: 2, commitTries: 64 };
    const one = (await world.open({ limits })).kms;
    const two = (await world.open({ limits })).kms;
    await one.keys("default").create({ alias: "orders" });
    const sealing = Array.from({ length: 12 }, () => seal(two));
    const rotating = [one.keys("default").rotate("orders"), two.keys("default").rotate("orders")];
    await Promise.all(rotating);
    const made = await Promise.all(sealing);
    expect((await one.keys("default").describe("orders")).keyVersion).toBe(3);
    for (const message of made) expect(await openVersion(one, message)).toBe(message.keyVersion);
  });
});

describe("a failed write", () => {
  test("leaves no resident CMK behind", async () => {
    const { kms, store, hsm } = await world.open();
    await kms.keys("default").create({ alias: "orders", protection: "resident" });
    const commit = store.commit.bind(store);
    const full = () => Promise.reject(Object.assign(new Error("disk full"), { code: "SQLITE_FULL" }));
    Object.assign(store, { commit: full });
    await expect(kms.keys("default").create({ protection: "resident" })).rejects.toThrow("disk full");
    await expect(kms.keys("default").rotate("orders")).rejects.toThrow("disk full");
    Object.assign(store, { commit });
    expect((await hsm.listResidentCmks()).length).toBe(1);
    expect(await kms.orphanedResidentCmks()).toEqual([]);
    expect((await kms.keys("default").describe("orders")).keyVersion).toBe(1);
  });

  test("whose answer was lost leaves the key whole", async () => {
    const { kms, store } = await world.open();
    const commit = store.commit.bind(store);
    Object.assign(store, {
      commit: async (writes: Parameters<typeof commit>[0]) => {
        await commit(writes);
        throw new KeyladderErrorStub("answer lost");
      },
    });
    await expect(kms.keys("default").create({ alias: "orders", protection: "resident" })).rejects.toThrow(
      "answer lost",
    );
    Object.assign(store, { commit });
    expect(await openVersion(kms, await seal(kms))).toBe(1);
  });

  test("what a killed process left in the HSM is listed", async () => {
    const { kms, hsm } = await world.open();
    await kms.keys("default").create({ protection: "resident" });
    const location = await hsm.generateCmk({ residence: "resident" });
    const hex = location.residence === "resident" ? Buffer.from(location.objectId).toString("hex") : "";
    expect(await kms.orphanedResidentCmks()).toEqual([hex]);
  });
});

describe("rotating what is due", () => {
  const DAY = 86_400_000;

  test("only active keys whose period is over, each once", async () => {
    const { kms } = await world.open();
    const keys = kms.keys("default");
    const due = await keys.create({ alias: "due", rotationPeriod: "30d" });
    await keys.create({ alias: "later", rotationPeriod: "90d" });
    await keys.create({ alias: "never" });
    await keys.create({ alias: "suspended", rotationPeriod: "30d" });
    await keys.suspend("suspended", { reason: "incident" });
    world.time += 31 * DAY;
    expect((await keys.rotateDue()).map(({ keyId, keyVersion }) => [keyId, keyVersion])).toEqual([[due.keyId, 2]]);
    expect(await keys.rotateDue()).toEqual([]);
    expect((await keys.describe("suspended")).keyVersion).toBe(1);
  });

  test("by several processes at once: each key is rotated by one of them", async () => {
    const { kms, hsm } = await world.open();
    const others = [kms, (await world.open({ hsm })).kms, (await world.open({ hsm })).kms];
    for (let i = 0; i < 4; i++) await kms.keys("default").create({ alias: `key-${i}`, rotationPeriod: "30d" });
    world.time += 31 * DAY;
    const rotated = await Promise.all(others.map((other) => other.keys("default").rotateDue()));
    expect(
      rotated
        .flat()
        .map(({ alias }) => alias)
        .sort(),
    ).toEqual(["key-0", "key-1", "key-2", "key-3"]);
    for await (const { keyVersion } of kms.keys("default").list()) expect(keyVersion).toBe(2);
  });
});

class KeyladderErrorStub extends Error {}

describe("opening a ladder", () => {
  test("an empty store is given an identity only on request", async () => {
    const store = await world.store();
    await expect(world.open({ store, create: false })).rejects.toMatchObject({ code: "ERR_LADDER_NOT_FOUND" });
    const { kms } = await world.open({ store });
    expect(kms.storeId.length).toBe(16);
    expect((await world.open({ create: false })).kms.storeId).toEqual(kms.storeId);
  });

  test("another token did not make this store", async () => {
    await world.open();
    await expect(world.open({ token: "other" })).rejects.toMatchObject({ code: "ERR_HSM_REFUSED" });
  });

  test("at once: one identity", async () => {
    const hsm = await world.hsm();
    const opened = await Promise.all(Array.from({ length: 5 }, () => world.open({ hsm })));
    expect(new Set(opened.map(({ kms }) => Buffer.from(kms.storeId).toString("hex"))).size).toBe(1);
  });

  test("a store without its identity is ERR_STORE_TAMPERED", async () => {
    const { kms } = await world.open();
    await kms.keys("default").create();
    world.attack((database) => database.exec("delete from records where type = 10"));
    const failure: unknown = await world.open().catch((error: unknown) => error);
    expect(KeyladderError.is(failure, "ERR_STORE_TAMPERED")).toBe(true);
  });
});
