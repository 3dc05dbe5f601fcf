/** Attacks by one tenant's handle on another's keys (ladder rule 2), and by time on what a cache holds (rule 3). */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  cachingKeyring,
  decrypt,
  encrypt,
  type Ladder,
  type LadderOptions,
  openLadder,
  softwareHsm,
  sqliteStore,
} from "../../src/index.js";
import { aesKeyring, expectCode } from "../kit.js";

let folder: string;
const opened: Ladder[] = [];

async function open(options: Partial<LadderOptions> = {}): Promise<Ladder> {
  const hsm = softwareHsm({ file: join(folder, "token"), keyFile: join(folder, "key") });
  const store = sqliteStore({ file: join(folder, "store.db") });
  const ladder = await openLadder({ hsm, store, create: "if-missing", ...options });
  opened.push(ladder);
  return ladder;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "keyladder-tenants-"));
});
afterEach(async () => {
  for (const ladder of opened.splice(0)) await ladder.close();
  rmSync(folder, { recursive: true });
});

describe("another tenant's handle", () => {
  test("does not open a message, by any key of its own or under the same alias", async () => {
    const acme = await open({ tenant: "acme" });
    const globex = await open({ tenant: "globex" });
    await acme.keys.create({ alias: "orders" });
    await globex.keys.create({ alias: "orders" });
    const message = await acme.encrypt("x", { key: "orders" });
    await expectCode(() => globex.decrypt(message), "ERR_NO_KEYRING_MATCHED");
    await expectCode(() => globex.decrypt(message, { key: "orders" }), "ERR_NO_KEYRING_MATCHED");
  });

  test.each(["", "a:b", " acme", "acme ", "cmk_acme", "acme\n", "\ud800"])(
    "named %j, which no reference could name, is refused",
    async (tenant) => {
      await expectCode(() => open({ tenant }), "ERR_INPUT");
    },
  );
});

describe("a key suspended, or its alias moved, by another handle", () => {
  test("is asked about before the cache: neither seals nor opens, though its data keys are cached", async () => {
    const ladder = await open();
    const other = await open();
    await ladder.keys.create({ alias: "orders" });
    const message = await ladder.encrypt("x", { key: "orders" });
    expect((await ladder.decrypt(message)).text()).toBe("x");
    await other.keys.suspend("orders", { reason: "an attack" });
    await expectCode(() => ladder.decrypt(message), "ERR_KEY_SUSPENDED");
    await expectCode(() => ladder.encrypt("x", { key: "orders" }), "ERR_KEY_SUSPENDED");
  });

  test("nor from a cache that a caller put in front of the ladder's keyring", async () => {
    const ladder = await open();
    const other = await open();
    await ladder.keys.create({ alias: "orders" });
    const keyring = cachingKeyring(ladder.keyring("orders"), { maxAge: "1h" });
    const message = await encrypt("x", { keyring });
    expect((await decrypt(message, { keyring })).text()).toBe("x");
    await other.keys.suspend("orders", { reason: "an attack" });
    await expectCode(() => decrypt(message, { keyring }), "ERR_KEY_SUSPENDED");
    await expectCode(() => encrypt("x", { keyring }), "ERR_KEY_SUSPENDED");
    await other.keys.resume("orders");
    expect((await decrypt(message, { keyring })).text()).toBe("x");
    await expectCode(
      async () => decrypt(await encrypt("x", { keyring: aesKeyring() }), { keyring }),
      "ERR_NO_KEYRING_MATCHED",
    );
  });

  test("opens no longer by the alias that names another key now", async () => {
    const ladder = await open();
    const other = await open();
    await ladder.keys.create({ alias: "orders" });
    const { keyId } = await ladder.keys.create();
    const message = await ladder.encrypt("x", { key: "orders" });
    await ladder.decrypt(message, { key: "orders" });
    await other.keys.setAlias("orders", keyId);
    await expectCode(() => ladder.decrypt(message, { key: "orders" }), "ERR_NO_KEYRING_MATCHED");
  });
});
