import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect as show } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HsmDriver, HsmSession } from "../../src/hsm/port.js";
import {
  decrypt,
  encrypt,
  inspect,
  type Ladder,
  type LadderOptions,
  multiKeyring,
  openLadder,
  rawAesKeyring,
  reencrypt,
  softwareHsm,
  sqliteStore,
} from "../../src/index.js";

let folder: string;
let opened: Ladder[] = [];
/** How often each method of the token was called. */
let calls: Record<string, number> = {};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "keyladder-facade-"));
  calls = {};
});
afterEach(async () => {
  await Promise.all(opened.map((ladder) => ladder.close()));
  opened = [];
  await rm(folder, { recursive: true, force: true });
});

/** The software token with its calls counted, and slowed to `delayMs`. */
function countedHsm(delayMs = 0): HsmDriver {
  const inner = softwareHsm({ file: join(folder, "token"), keyFile: join(folder, "key") }) as HsmDriver;
  return {
    kind: inner.kind,
    async open(options) {
      const session = await inner.open(options);
      return new Proxy(session, {
        get(target, name: keyof HsmSession) {
          const method = target[name] as ((...given: unknown[]) => Promise<unknown>) | undefined;
          if (method === undefined) return undefined; // "then": a session is no promise
          return async (...given: unknown[]) => {
            calls[name] = (calls[name] ?? 0) + 1;
            if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
            return method.apply(target, given);
          };
        },
      });
    },
  };
}

async function open(more: Partial<LadderOptions> & { delayMs?: number } = {}): Promise<Ladder> {
  const { delayMs, ...options } = more;
  const ladder = await openLadder({
    hsm: countedHsm(delayMs),
    store: sqliteStore({ file: join(folder, "store.db") }),
    create: "if-missing",
    ...options,
  });
  opened.push(ladder);
  return ladder;
}

describe("openLadder", () => {
  it("never makes a ladder by itself", async () => {
    await expect(open({ create: false })).rejects.toMatchObject({ code: "ERR_LADDER_NOT_FOUND" });
  });

  it.each([
    ["no options", undefined, "options object"],
    ["no hsm", { store: sqliteStore({ file: "x" }) }, '"hsm"'],
    ["no store", { hsm: softwareHsm({ file: "x", passphrase: "y" }) }, '"store"'],
    ["a mistyped option", { creat: "if-missing" }, 'unknown option "creat"'],
    ["another engine", { engine: "warp" }, '"engine"'],
    ["a tenant with a colon", { tenant: "a:b" }, '"tenant"'],
    ["a bad create", { create: true }, '"create"'],
    ["a bad cache", { cache: { maxAge: "soon" } }, '"maxAge"'],
    ["a bad pool", { pool: true }, '"pool"'],
    ["half a thread", { pool: { threads: 0.5 } }, '"pool.threads"'],
    ["a mistyped option of the pool", { pool: { thread: 1 } }, '"pool.thread"'],
  ])("refuses %s", async (_what, options, named) => {
    const given = options && {
      ...{ hsm: countedHsm(), store: sqliteStore({ file: join(folder, "s.db") }) },
      ...options,
    };
    const asked = named === '"hsm"' || named === '"store"' ? options : given;
    const failure = await openLadder(asked as unknown as LadderOptions).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "ERR_INPUT", message: expect.stringContaining(named) });
  });

  it("with a pool of its own, none, or the one that all share: the same messages", async () => {
    const plaintext = new Uint8Array(3_000_000).fill(7);
    const pools = [false, { threads: 1, inlineBelowBytes: 0 }, undefined] as const;
    const ladders = await Promise.all(pools.map((pool) => open(pool === undefined ? {} : { pool })));
    await ladders[0]?.keys.create({ alias: "orders" });
    for (const ladder of ladders) {
      const message = await ladder.encrypt(plaintext, { key: "orders" });
      for (const other of ladders) {
        expect(Buffer.compare((await other.decrypt(message)).plaintext, plaintext)).toBe(0);
      }
    }
  });

  it("says plainly what the token is", async () => {
    const ladder = await open();
    const info = await ladder.info();
    expect(info).toMatchObject({
      hsm: [{ kind: "software", hardware: false, health: "up" }],
      store: { kind: "sqlite" },
      keys: 0,
      orphanedResidentKeys: [],
    });
    expect(info.hsm[0]?.warnings.join(" ")).toMatch(/software token, not an HSM/);
  });

  it("shows no secret when printed", async () => {
    const ladder = await open();
    expect(show(ladder, { depth: 10, showHidden: true })).not.toMatch(/Uint8Array|KeyObject|passphrase/);
  });

  it("a process that forgets to close still exits", () => {
    const script = `
      import { openLadder, softwareHsm, sqliteStore } from ${JSON.stringify(join(import.meta.dirname, "../../dist/index.js"))};
      const ladder = await openLadder({
        hsm: softwareHsm({ file: "token", keyFile: "key" }), store: sqliteStore({ file: "store.db" }), create: "if-missing",
      });
      await ladder.keys.create({ alias: "a" });
      await ladder.encrypt("x", { key: "a" });
      console.log("done");`;
    const run = { cwd: folder, timeout: 20_000, encoding: "utf8" } as const;
    expect(execFileSync(process.execPath, ["--input-type=module", "-e", script], run)).toBe("done\n");
  });
});

describe("the facade", () => {
  it("seals and opens, and says which key and version", async () => {
    const ladder = await open();
    const { keyId } = await ladder.keys.create({ alias: "orders" });
    const message = await ladder.encrypt("4111", { key: "orders", context: { tenant: "acme" } });
    const result = await ladder.decrypt(message, { context: { tenant: "acme" } });
    expect(result).toMatchObject({ keyId, keyVersion: 1, suite: 0x0478, context: { tenant: "acme" } });
    expect(result.text()).toBe("4111");
    await expect(ladder.decrypt(message, { context: { tenant: "globex" } })).rejects.toMatchObject({
      code: "ERR_CONTEXT_MISMATCH",
    });
  });

  it("uses its defaults, and a call's own options over them", async () => {
    const ladder = await open({ defaults: { suite: 0x0578, frameBytes: 64 } });
    await ladder.keys.create({ alias: "orders" });
    const message = await ladder.encrypt("x", { key: "orders" });
    expect(inspect(message)).toMatchObject({ suite: 0x0578, frameBytes: 64 });
    expect(inspect(await ladder.encrypt("x", { key: "orders", suite: 0x0478 })).suite).toBe(0x0478);
    expect((await ladder.decrypt(message)).text()).toBe("x");
  });

  it("the open-only keyring cannot seal", async () => {
    const ladder = await open();
    const keyring = ladder.keyring() as never;
    await expect(encrypt("x", { keyring })).rejects.toMatchObject({ code: "ERR_INPUT" });
  });

  it("an unknown key", async () => {
    const ladder = await open();
    await expect(ladder.encrypt("x", { key: "nope" })).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
    await expect(ladder.encrypt("x", {} as never)).rejects.toMatchObject({ code: "ERR_INPUT" });
    const unset = { key: undefined } as never; // an unset variable is not the wish for any key
    await expect(ladder.decrypt(new Uint8Array(100), unset)).rejects.toMatchObject({ code: "ERR_INPUT" });
  });

  it("re-encrypts from one key to another, or to a raw master", async () => {
    const ladder = await open();
    await ladder.keys.create({ alias: "old" });
    await ladder.keys.create({ alias: "new" });
    const message = await ladder.encrypt("moved", { key: "old", context: { a: "b" } });
    const moved = await reencrypt(message, { from: ladder.keyring("old"), to: ladder.keyring("new") });
    expect((await ladder.decrypt(moved, { key: "new" })).context).toEqual({ a: "b" });
    await expect(ladder.decrypt(moved, { key: "old" })).rejects.toMatchObject({ code: "ERR_NO_KEYRING_MATCHED" });
    const raw = rawAesKeyring({ namespace: "n", name: "k", key: new Uint8Array(32) });
    const both = await encrypt("either", { keyring: multiKeyring(ladder.keyring("new"), raw) });
    expect((await decrypt(both, { keyring: raw })).text()).toBe("either");
    expect((await ladder.decrypt(both)).text()).toBe("either");
  });

  it("closing finishes work under way, then refuses, and is idempotent", async () => {
    const ladder = await open({ delayMs: 5 });
    await ladder.keys.create({ alias: "orders" });
    const under = ladder.encrypt("x", { key: "orders" });
    const creating = ladder.keys.create({ alias: "late" });
    const closing = ladder.close();
    await expect(ladder.encrypt("x", { key: "orders" })).rejects.toMatchObject({ code: "ERR_CLOSED" });
    expect((await under).length).toBeGreaterThan(0);
    expect((await creating).alias).toBe("late");
    await closing;
    await ladder.close();
    await ladder[Symbol.asyncDispose]();
    await expect(ladder.keys.describe("orders")).rejects.toMatchObject({ code: "ERR_CLOSED" });
    await expect(ladder.keys.list().page()).rejects.toMatchObject({ code: "ERR_CLOSED" });
    await expect(encrypt("x", { keyring: ladder.keyring("orders") })).rejects.toMatchObject({ code: "ERR_CLOSED" });
  });
});

describe("tenants (ladder rule 2)", () => {
  it("a handle opens its own tenant's messages and no other's", async () => {
    const acme = await open({ tenant: "acme" });
    const globex = await open({ tenant: "globex" });
    await acme.keys.create({ alias: "orders" });
    await globex.keys.create({ alias: "orders" });
    const message = await acme.encrypt("acme's", { key: "orders" });
    expect((await acme.decrypt(message)).text()).toBe("acme's");
    await expect(globex.decrypt(message)).rejects.toMatchObject({ code: "ERR_NO_KEYRING_MATCHED" });
    await expect(globex.decrypt(message, { key: "orders" })).rejects.toMatchObject({ code: "ERR_NO_KEYRING_MATCHED" });
    expect((await globex.decrypt(message, { key: "acme:orders" })).text()).toBe("acme's");
  });
});

describe("the cache behind authorisation (ladder rule 3)", () => {
  it("a hundred concurrent misses make one HSM call", async () => {
    const ladder = await open({ delayMs: 3 });
    await ladder.keys.create({ alias: "orders" });
    calls = {};
    const messages = await Promise.all(Array.from({ length: 100 }, () => ladder.encrypt("x", { key: "orders" })));
    expect(calls.generateDataKey).toBe(1);
    expect(new Set(messages.map((one) => Buffer.from(inspect(one).messageId).toString("hex"))).size).toBe(100);
    await ladder.close();
    const again = await open({ delayMs: 3 });
    calls = {};
    await Promise.all(messages.map((message) => again.decrypt(message)));
    expect(calls.unwrapDataKey).toBe(1);
    expect((await again.info()).cache).toEqual({ hits: 0, misses: 100 });
  });

  it("without a cache each message asks", async () => {
    const ladder = await open({ cache: false });
    await ladder.keys.create({ alias: "orders" });
    calls = {};
    for (let i = 0; i < 3; i++) await ladder.encrypt("x", { key: "orders" });
    expect(calls.generateDataKey).toBe(3);
  });

  it("a suspended key is refused though its data keys are cached, here and in another process's handle", async () => {
    const [one, two] = [await open(), await open()];
    await one.keys.create({ alias: "orders" });
    const message = await one.encrypt("x", { key: "orders" });
    for (const ladder of [one, two]) {
      await ladder.encrypt("x", { key: "orders" });
      await ladder.decrypt(message);
    }
    await one.keys.suspend("orders", { reason: "incident" });
    for (const ladder of [one, two]) {
      await expect(ladder.encrypt("x", { key: "orders" })).rejects.toMatchObject({ code: "ERR_KEY_SUSPENDED" });
      await expect(ladder.decrypt(message)).rejects.toMatchObject({ code: "ERR_KEY_SUSPENDED" });
    }
    await two.keys.resume("orders");
    for (const ladder of [one, two]) expect((await ladder.decrypt(message)).text()).toBe("x");
  });

  it("after a rotation new messages are under the new version at once", async () => {
    const [one, two] = [await open(), await open()];
    await one.keys.create({ alias: "orders" });
    for (const ladder of [one, two]) await ladder.encrypt("x", { key: "orders" });
    await one.keys.rotate("orders");
    for (const ladder of [one, two]) {
      const message = await ladder.encrypt("x", { key: "orders" });
      expect((await ladder.decrypt(message)).keyVersion).toBe(2);
    }
  });

  it("the context is read once: what a getter says later, or a change, has no effect", async () => {
    const ladder = await open();
    await ladder.keys.create({ alias: "orders", contextKeys: ["tenant"] });
    let reads = 0;
    const context = {
      get tenant() {
        return reads++ === 0 ? "acme" : "globex";
      },
    };
    const sealing = ladder.encrypt("x", { key: "orders", context });
    const changed: Record<string, string> = { tenant: "acme" };
    const other = ladder.encrypt("x", { key: "orders", context: changed });
    changed.tenant = "globex";
    for (const message of [await sealing, await other]) {
      expect((await ladder.decrypt(message, { context: { tenant: "acme" } })).context).toEqual({ tenant: "acme" });
    }
    expect(reads).toBe(1);
  });
});
