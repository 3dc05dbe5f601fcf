import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Kms } from "../../../src/kms/kms.js";
import type { CreateKey } from "../../../src/kms/options.js";
import { keyring, request, unwrapper, World } from "./world.js";

let world: World;
let kms: Kms;
beforeEach(async () => {
  world = new World();
  kms = (await world.open()).kms;
});
afterEach(() => world.close());

const DAY = 86_400_000;

describe("create and describe", () => {
  test("a key with nothing said", async () => {
    const key = await kms.keys("default").create();
    expect(key).toMatchObject({
      keyVersion: 1,
      keyState: "active",
      usage: "encrypt",
      algorithm: "aes-256",
      protection: "wrapped",
      origin: "hsm",
      managedBy: "customer",
      exportable: false,
      tenant: "default",
      aliases: [],
      rotationPeriod: null,
      expiresAt: null,
      createdAt: new Date(world.time),
      versions: [{ version: 1, state: "active", createdAt: new Date(world.time) }],
    });
    expect(key.keyId).toMatch(/^cmk_[0-9a-hjkmnp-tv-z]{26}$/);
    expect(key).not.toHaveProperty("alias");
    expect(await kms.keys("default").describe(key.keyId)).toEqual(key);
  });

  test("every attribute is kept, and known to a later process", async () => {
    const options: CreateKey = {
      alias: "orders",
      protection: "resident",
      managedBy: "provider",
      owner: "payments",
      description: "card numbers, été",
      tags: { team: "pay", env: "prod" },
      rotationPeriod: "90d",
      activatesAt: new Date(world.time - 1),
      expiresAt: new Date(world.time + DAY),
      contextKeys: ["tenant"],
    };
    const key = await kms.keys("acme").create({ ...options, ifExists: "error" });
    expect(key).toMatchObject({ ...options, tenant: "acme", nextRotationAt: new Date(world.time + 90 * DAY) });
    const later = await world.open({ create: false });
    expect(await later.kms.keys("acme").describe("orders")).toEqual(key);
    expect(await later.kms.keys("default").describe("acme:orders")).toEqual(key);
    expect(await later.kms.keys("default").describe(`acme:${key.keyId}`)).toEqual(key);
    await expect(later.kms.keys("default").describe(key.keyId)).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
  });

  test("an alias is one of its kind in its tenant", async () => {
    const keys = kms.keys("default");
    const first = await keys.create({ alias: "orders" });
    await expect(keys.create({ alias: "orders" })).rejects.toMatchObject({
      code: "ERR_KEY_EXISTS",
      keyId: first.keyId,
    });
    expect((await keys.create({ alias: "orders", ifExists: "return" })).keyId).toBe(first.keyId);
    expect((await kms.keys("acme").create({ alias: "orders" })).keyId).not.toBe(first.keyId);
    expect((await keys.create({ alias: "orders", tenant: "globex" })).tenant).toBe("globex");
    expect(await kms.countKeys()).toBe(3);
  });

  test("at once, in one process: one wins, the others get its key", async () => {
    const keys = kms.keys("default");
    const made = await Promise.all(
      Array.from({ length: 8 }, () => keys.create({ alias: "orders", ifExists: "return" })),
    );
    expect(new Set(made.map(({ keyId }) => keyId)).size).toBe(1);
    expect(await kms.countKeys()).toBe(1);
  });

  test.each([
    ["an unknown option", { colour: "red" }, 'unknown option "colour"'],
    ["a number as alias", { alias: 7 }, '"alias"'],
    ["an empty alias", { alias: "" }, '"alias"'],
    ["a colon in an alias", { alias: "a:b" }, '"alias"'],
    ["an alias like a key id", { alias: "cmk_orders" }, '"alias"'],
    ["a control character", { alias: "a\nb" }, '"alias"'],
    ["a long alias", { alias: "é".repeat(129) }, '"alias"'],
    ["a lone surrogate", { alias: "\ud800" }, '"alias"'],
    ["a colon in a tenant", { tenant: "a:b" }, '"tenant"'],
    ["a number as period", { rotationPeriod: 90 }, '"rotationPeriod" expected a duration such as "90d"'],
    ["a period of months", { rotationPeriod: "3months" }, '"rotationPeriod" expected a duration such as "90d"'],
    ["a text as date", { expiresAt: "2027" }, '"expiresAt" expected a Date'],
    ["an invalid date", { activatesAt: new Date(Number.NaN) }, '"activatesAt"'],
    ["an end before the start", { activatesAt: new Date(5), expiresAt: new Date(4) }, '"expiresAt"'],
    ["signing keys", { usage: "sign" }, '"usage" expected "encrypt"'],
    ["other algorithms", { algorithm: "ecdsa-p256" }, '"algorithm" expected "aes-256"'],
    ["imported keys", { origin: "external" }, '"origin" expected "hsm"'],
    ["exportable keys", { exportable: true }, '"exportable" expected false'],
    ["a tag that is no text", { tags: { a: 1 } }, '"tags.a"'],
    ["a context key that is empty", { contextKeys: [""] }, '"contextKeys.0"'],
    ["ifExists without an alias", { ifExists: "return" }, '"ifExists"'],
    ["an array of options", [], ""],
    ["a text of options", "orders", "options"],
  ])("%s: ERR_INPUT, and nothing is made", async (_, options, words) => {
    const failing = kms.keys("default").create(options as CreateKey);
    await expect(failing).rejects.toMatchObject({ code: "ERR_INPUT", message: expect.stringContaining(words) });
    expect(await kms.countKeys()).toBe(0);
  });

  test.each(["", "nobody", "acme:orders", "cmk_00000000000000000000000000"])("no key %j", async (ref) => {
    const code = ref === "" ? "ERR_INPUT" : "ERR_KEY_NOT_FOUND";
    await expect(kms.keys("default").describe(ref)).rejects.toMatchObject({ code });
  });

  test.each(["cmk_", "cmk_short", "cmk_0000000000000000000000000u", "cmk_z0000000000000000000000000"])(
    "a malformed id %j is ERR_INPUT",
    async (ref) => {
      await expect(kms.keys("default").describe(ref)).rejects.toMatchObject({ code: "ERR_INPUT" });
    },
  );
});

describe("list", () => {
  test("pages, filters, whole", async () => {
    const keys = kms.keys("default");
    expect(await keys.list().page()).toEqual({ items: [] });
    const made: string[] = [];
    for (let i = 0; i < 7; i++) {
      world.time += i % 2;
      made.push((await keys.create({ alias: `k${i}`, tags: { n: String(i % 3) } })).keyId);
    }
    await kms.keys("acme").create();
    await keys.suspend("k4", { reason: "test" });

    const all: string[] = [];
    for await (const key of keys.list()) all.push(key.keyId);
    expect([...all].sort()).toEqual([...made].sort());

    const paged: string[] = [];
    let cursor: string | undefined;
    do {
      const { items, next } = await keys.list().page(cursor, 2);
      expect(items.length).toBeLessThanOrEqual(2);
      paged.push(...items.map(({ keyId }) => keyId));
      cursor = next;
    } while (cursor !== undefined);
    expect(paged).toEqual(all);

    const aliases = async (filter: object) => (await keys.list(filter).page()).items.map(({ alias }) => alias).sort();
    expect(await aliases({ state: "suspended" })).toEqual(["k4"]);
    expect(await aliases({ tag: "n=1" })).toEqual(["k1", "k4"]);
    expect((await aliases({ tag: "n" })).length).toBe(7);
    expect(await aliases({ tag: "m" })).toEqual([]);
    expect(await aliases({ tag: "constructor" })).toEqual([]);
    expect((await aliases({ tenant: "acme" })).length).toBe(1);
    expect(await aliases({ tenant: "nobody" })).toEqual([]);
    expect((await keys.list({ tag: "n=1" }).page(undefined, 1)).items.length).toBe(1);
  });

  test("bad filters, cursors and limits are ERR_INPUT", async () => {
    const keys = kms.keys("default");
    expect(() => keys.list({ colour: 1 } as object)).toThrow(expect.objectContaining({ code: "ERR_INPUT" }));
    for (const cursor of ["", "x", "AAAA"]) {
      await expect(keys.list().page(cursor)).rejects.toMatchObject({ code: "ERR_INPUT" });
    }
    for (const limit of [0, 1001, 1.5, Number.NaN]) {
      await expect(keys.list().page(undefined, limit)).rejects.toMatchObject({ code: "ERR_INPUT" });
    }
  });
});

describe("aliases", () => {
  test("further names, moved, removed, given again", async () => {
    const keys = kms.keys("default");
    const a = await keys.create({ alias: "a" });
    const b = await keys.create({ alias: "b" });
    world.time += 1;
    await keys.setAlias("c", "a");
    await keys.setAlias("c", "a");
    expect((await keys.describe("c")).aliases).toEqual(["a", "c"]);
    await keys.setAlias("c", b.keyId);
    expect((await keys.describe("c")).keyId).toBe(b.keyId);
    expect((await keys.describe("a")).aliases).toEqual(["a"]);
    await keys.removeAlias("c");
    await expect(keys.describe("c")).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
    await expect(keys.removeAlias("c")).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
    await keys.setAlias("c", "a");
    expect((await keys.describe("c")).keyId).toBe(a.keyId);
    await keys.removeAlias("a");
    expect((await keys.create({ alias: "a" })).keyId).not.toBe(a.keyId);
  });

  test("never for a key of another tenant", async () => {
    await kms.keys("acme").create({ alias: "orders" });
    const moving = kms.keys("default").setAlias("mine", "acme:orders");
    await expect(moving).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
  });
});

describe("suspend and resume", () => {
  test("all use stops, at both ends, and comes back", async () => {
    const keys = kms.keys("default");
    await keys.create({ alias: "orders" });
    const ring = keyring(kms, "orders");
    const { encryptedDataKeys } = await ring.generateDataKey(request());
    const uses = () => [
      ring.generateDataKey(request()),
      ring.authoriseGenerate(request()),
      ring.unwrapDataKey({ ...request(), encryptedDataKeys }),
      ring.authoriseUnwrap({ ...request(), encryptedDataKeys }),
      unwrapper(kms).unwrapDataKey({ ...request(), encryptedDataKeys }),
    ];
    await Promise.all(uses());
    const suspended = await keys.suspend("orders", { reason: "laptop stolen" });
    expect(suspended).toMatchObject({ keyState: "suspended", stateReason: "laptop stolen" });
    for (const use of uses()) await expect(use).rejects.toMatchObject({ code: "ERR_KEY_SUSPENDED" });
    await expect(keys.suspend("orders", { reason: "again" })).rejects.toMatchObject({ code: "ERR_TRANSITION" });
    await expect(keys.rotate("orders")).rejects.toMatchObject({ code: "ERR_TRANSITION" });
    const resumed = await keys.resume("orders");
    expect(resumed.keyState).toBe("active");
    expect(resumed).not.toHaveProperty("stateReason");
    await Promise.all(uses());
    await expect(keys.resume("orders")).rejects.toMatchObject({ code: "ERR_TRANSITION" });
  });

  test("is seen by another process at its very next call", async () => {
    await kms.keys("default").create({ alias: "orders" });
    const other = (await world.open()).kms;
    const ring = keyring(other, "orders");
    await ring.authoriseGenerate(request());
    const told = vi.fn();
    other.onChange(told);
    await kms.keys("default").suspend("orders", { reason: "incident" });
    await expect(ring.authoriseGenerate(request())).rejects.toMatchObject({ code: "ERR_KEY_SUSPENDED" });
    expect(told).toHaveBeenCalledWith({ keyId: expect.stringMatching(/^cmk_/), what: "updated" });
  });

  test.each([undefined, {}, { reason: "" }, { reason: 1 }, { reason: "x", more: 1 }])(
    "needs a reason: %j",
    async (bad) => {
      await kms.keys("default").create({ alias: "orders" });
      await expect(kms.keys("default").suspend("orders", bad as never)).rejects.toMatchObject({ code: "ERR_INPUT" });
    },
  );
});

describe("what a key allows", () => {
  test("before its activation: nothing", async () => {
    const key = await kms.keys("default").create({ alias: "orders", activatesAt: new Date(world.time + DAY) });
    expect(key.keyState).toBe("pre-active");
    const ring = keyring(kms, "orders");
    await expect(ring.generateDataKey(request())).rejects.toMatchObject({ code: "ERR_KEY_NOT_ACTIVE" });
    world.time += DAY;
    await ring.generateDataKey(request());
  });

  test("after its expiry: opening only", async () => {
    await kms.keys("default").create({ alias: "orders", expiresAt: new Date(world.time + DAY) });
    const ring = keyring(kms, "orders");
    const { encryptedDataKeys } = await ring.generateDataKey(request());
    world.time += DAY;
    expect((await kms.keys("default").describe("orders")).keyState).toBe("deactivated");
    await expect(ring.generateDataKey(request())).rejects.toMatchObject({ code: "ERR_KEY_DEACTIVATED" });
    expect(await ring.unwrapDataKey({ ...request(), encryptedDataKeys })).toMatchObject({ keyVersion: 1 });
  });

  test("a context it requires, at both ends", async () => {
    await kms.keys("default").create({ alias: "orders", contextKeys: ["tenant"] });
    const ring = keyring(kms, "orders");
    const { encryptedDataKeys } = await ring.generateDataKey(request());
    const refused = { code: "ERR_INPUT", message: 'key "orders" requires context "tenant"' };
    await expect(ring.generateDataKey(request({ other: "x" }))).rejects.toMatchObject(refused);
    // Opening: what stands in the message is not enough, the caller must demand it.
    const asking = { ...request(), encryptedDataKeys };
    await expect(ring.unwrapDataKey(asking)).rejects.toMatchObject(refused);
    await expect(unwrapper(kms).unwrapDataKey({ ...asking, demandedContext: {} })).rejects.toMatchObject({
      code: "ERR_INPUT",
    });
    const demandedContext = asking.context;
    expect(await ring.unwrapDataKey({ ...asking, demandedContext })).toMatchObject({ keyVersion: 1 });
  });
});
