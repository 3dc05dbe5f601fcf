/** Records whose keyset lives in the store: made, leased, rotated, exported, and watched over. */

import { createDecipheriv } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { utf8 } from "../../src/bytes.js";
import {
  type Ladder,
  type LadderOptions,
  openLadder,
  openRecords,
  type RecordsOptions,
  rawAesKeyring,
  softwareHsm,
  sqliteStore,
} from "../../src/index.js";
import { parseEncryptedKeyset } from "../../src/message/tink.js";
import { expectBytes, expectCode, pump } from "../kit.js";
import { readEncryptedKeyset, readKeyset } from "../tink-reader.js";

const text = (value: string) => utf8(value, "text");
const KEYSET = { key: "orders", keyset: "users.email" } as const;

let folder: string;
const opened: Ladder[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "keyladder-records-"));
});
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(opened.splice(0).map((ladder) => ladder.close()));
  rmSync(folder, { recursive: true });
});

/** A process of its own, as far as the ladder can tell. */
async function open(options: Partial<LadderOptions> = {}): Promise<Ladder> {
  const hsm = softwareHsm({ file: join(folder, "token"), keyFile: join(folder, "key") });
  const store = sqliteStore({ file: join(folder, "store.db") });
  const ladder = await openLadder({ hsm, store, create: "if-missing", ...options });
  opened.push(ladder);
  await ladder.keys.create({ alias: "orders", ifExists: "return" });
  return ladder;
}

/** Revisions of the lease rows, which say how often somebody asked for more. */
function leaseRevisions(): number[] {
  const database = new Database(join(folder, "store.db"), { timeout: 2000 });
  try {
    const rows = database.prepare("select revision from records where type = 9 order by created_at").all([]);
    return (rows as { revision: number }[]).map(({ revision }) => revision);
  } finally {
    database.close();
  }
}

describe("ladder.records", () => {
  it("makes the keyset once: another process gets the same, and opens what was sealed", async () => {
    const first = await (await open()).records(KEYSET);
    const second = await (await open()).records(KEYSET);
    expect(second.info.keyIds).toEqual(first.info.keyIds);
    expect(first.info).toMatchObject({ keyset: "users.email", recordsLeft: 2 ** 31 });
    const sealed = first.seal("ann@example.com", { aad: text("17") });
    expectBytes(second.open(sealed, { aad: text("17") }), text("ann@example.com"));
  });

  it("two that make it at once get the same", async () => {
    const ladders = await Promise.all(Array.from({ length: 4 }, () => open()));
    const all = await Promise.all(ladders.map((ladder) => ladder.records(KEYSET)));
    expect(new Set(all.map(({ info }) => info.primaryKeyId)).size).toBe(1);
  });

  it("keeps keysets of one name apart by tenant, and of several names in one", async () => {
    const ladder = await open();
    const other = await open({ tenant: "acme" });
    const ids = await Promise.all(
      [ladder.records(KEYSET), ladder.records({ ...KEYSET, keyset: "users.phone" }), other.records(KEYSET)].map(
        async (records) => (await records).info.primaryKeyId,
      ),
    );
    expect(new Set(ids).size).toBe(3);
  });

  it("stores no key in the clear", async () => {
    const ladder = await open();
    const keyset = (await ladder.records(KEYSET)).export();
    const keyring = ladder.keyring("orders");
    const records = await openRecords({ keyring, keyset: await keyset });
    expect(records.info.keyset).toBe("users.email");
    await expectCode(ladder.decrypt(parseEncryptedKeyset(await keyset)), "ERR_CONTEXT_MISMATCH");
  });

  it("binds the keyset to its context, and demands it", async () => {
    const ladder = await open();
    const bound = { ...KEYSET, context: { tenant: "acme" } };
    const records = await ladder.records(bound);
    await expectCode(ladder.records({ ...KEYSET, context: { tenant: "globex" } }), "ERR_CONTEXT_MISMATCH");
    const again = await ladder.records(bound);
    expectBytes(again.open(records.seal("x")), text("x"));
    await ladder.keys.create({ alias: "strict", contextKeys: ["tenant"] });
    await expectCode(ladder.records({ key: "strict", keyset: "other" }), "ERR_INPUT");
  });

  it("a keyset stays under its key", async () => {
    const ladder = await open();
    await ladder.records(KEYSET);
    await ladder.keys.create({ alias: "others" });
    await expectCode(ladder.records({ ...KEYSET, key: "others" }), "ERR_INPUT");
  });

  it("makes none where that is not wanted", async () => {
    const ladder = await open();
    await expectCode(ladder.records({ ...KEYSET, create: false }), "ERR_KEY_NOT_FOUND");
    const records = await ladder.records(KEYSET);
    const again = await ladder.records({ ...KEYSET, create: false });
    expectBytes(again.open(records.seal("x")), text("x"));
  });

  it("goes on over the rotation of its key", async () => {
    const ladder = await open();
    const records = await ladder.records(KEYSET);
    const sealed = records.seal("x");
    await ladder.keys.rotate("orders");
    expectBytes(records.open(sealed), text("x"));
    expectBytes((await (await open()).records(KEYSET)).open(sealed), text("x"));
  });

  it.each<[string, Partial<RecordsOptions>, "ERR_INPUT" | "ERR_KEY_NOT_FOUND"]>([
    ["no key", { key: "" }, "ERR_INPUT"],
    ["an unknown key", { key: "nobody" }, "ERR_KEY_NOT_FOUND"],
    ["no name", { keyset: "" }, "ERR_INPUT"],
    ["a name with a colon", { keyset: "a:b" }, "ERR_INPUT"],
    ["a reserved context key", { context: { "keyladder:purpose": "x" } }, "ERR_INPUT"],
    ["more than 2^32", { maxRecords: 2 ** 32 + 1 }, "ERR_INPUT"],
    ["an unknown cipher", { cipher: "aes-128-gcm" as never }, "ERR_INPUT"],
    ["a mistyped option", { keySet: "x" } as never, "ERR_INPUT"],
  ])("refuses %s", async (_what, change, code) => {
    await expectCode((await open()).records({ ...KEYSET, ...change }), code);
  });
});

describe("leases", () => {
  it("share what a key may seal: none gets more, together", async () => {
    const [one, two] = [await open(), await open()];
    const options = { ...KEYSET, maxRecords: 300 };
    const all = await Promise.all([one.records(options), two.records(options)]);
    let sealed = 0;
    const sealing = all.map(async (records) => {
      for (;;) {
        await records.sealBatch([text("x")]);
        sealed++;
      }
    });
    for (const outcome of await Promise.allSettled(sealing)) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "ERR_KEYSET_EXHAUSTED", retryable: false } });
    }
    // What one had leased and the other could not get is the only loss.
    expect(sealed).toBeLessThanOrEqual(300);
    expect(sealed).toBeGreaterThan(250);
    expect(all.map(({ info }) => info.recordsLeft)).toEqual([0, 0]);
  });

  it("are renewed ahead, when a tenth is left: a sync caller never waits", async () => {
    const records = await (await open()).records({ ...KEYSET, maxRecords: 128 * 100 });
    const asked = Math.max(...leaseRevisions());
    for (let i = 0; i < 91; i++) records.seal("x");
    await vi.waitFor(() => expect(Math.max(...leaseRevisions())).toBe(asked + 1));
    // The second lease is twice the first.
    await vi.waitFor(() => expect(records.info.recordsLeft).toBe(128 * 100 - 91));
    for (let i = 0; i < 9 + 150; i++) records.seal("x");
  });

  it("a sync caller that outruns them is told to try again", async () => {
    const records = await (await open()).records({ ...KEYSET, maxRecords: 1280 });
    const burst = () => {
      for (let i = 0; i < 20; i++) records.seal("x");
    };
    expect((await expectCode(burst, "ERR_KEYSET_EXHAUSTED")).retryable).toBe(true);
    await vi.waitFor(() => records.seal("x"));
  });

  it("give back what was not used, and waste what a killed process had", async () => {
    const first = await open();
    const records = await first.records({ ...KEYSET, maxRecords: 1000 });
    records.seal("x");
    await first.close();
    const second = await (await open()).records({ ...KEYSET, maxRecords: 1000 });
    expect(second.info.recordsLeft).toBe(999);
  });

  it("a used-up key opens still, and a rotated keyset seals again", async () => {
    const ladder = await open();
    const options = { ...KEYSET, maxRecords: 4 };
    const records = await ladder.records(options);
    const sealed = await records.sealBatch(["a", "b", "c", "d"].map(text));
    await expectCode(records.sealBatch([text("e")]), "ERR_KEYSET_EXHAUSTED");
    await expectCode(() => records.seal("e"), "ERR_KEYSET_EXHAUSTED");
    await expectCode(pump(records.sealStream(), [text("e")]), "ERR_KEYSET_EXHAUSTED");
    expectBytes((await records.openBatch(sealed))[3] as Uint8Array, text("d"));
    await records.rotate();
    expectBytes(records.open(records.seal("e")), text("e"));
    expectBytes(records.open(sealed[0] as Uint8Array), text("a"));
  });

  it("are none of XAES-256-GCM's business", async () => {
    const records = await (await open()).records({ ...KEYSET, cipher: "xaes-256-gcm", maxRecords: 1 });
    const sealed = await records.sealBatch(Array.from({ length: 100 }, (_, i) => text(`${i}`)));
    expect(sealed[0]?.length).toBe(5 + 24 + 1 + 16);
    expectBytes(records.open(sealed[99] as Uint8Array), text("99"));
    expect(leaseRevisions()).toHaveLength(2); // of the KEK's two versions
    await records.rotate();
    expect(records.seal("x").length).toBe(5 + 24 + 1 + 16);
  });
});

describe("rotation", () => {
  it("adds a primary key, keeps the older ones, and is seen by others", async () => {
    const [one, two] = [await open(), await open()];
    const [here, there] = [await one.records(KEYSET), await two.records(KEYSET)];
    const old = here.seal("old");
    const [before] = here.info.keyIds;
    await here.rotate();
    expect(here.info.keyIds).toEqual([before, here.info.primaryKeyId]);
    expect(here.info.primaryKeyId).not.toBe(before);
    expectBytes(here.open(old), text("old"));
    // The other process meets a key it does not know: it looks, where it may wait.
    expectBytes((await there.openBatch([here.seal("new")]))[0] as Uint8Array, text("new"));
    expect(there.info).toMatchObject({ primaryKeyId: here.info.primaryKeyId, keyIds: here.info.keyIds });
  });

  it("is noticed by a sync caller a second later", async () => {
    const [one, two] = [await open(), await open()];
    const [here, there] = [await one.records(KEYSET), await two.records(KEYSET)];
    await here.rotate();
    const record = here.seal("new");
    await expectCode(() => there.open(record), "ERR_DECRYPT");
    vi.spyOn(performance, "now").mockReturnValue(performance.now() + 2000);
    await vi.waitFor(() => expectBytes(there.open(record), text("new")));
    vi.restoreAllMocks();
  });

  it("by two at once loses neither's key", async () => {
    const ladders = [await open(), await open()];
    const all = await Promise.all(ladders.map((ladder) => ladder.records(KEYSET)));
    await Promise.all(all.map((records) => records.rotate()));
    const records = await (await open()).records(KEYSET);
    expect(records.info.keyIds).toHaveLength(3);
    for (const other of all) expectBytes((await records.openBatch([other.seal("x")]))[0] as Uint8Array, text("x"));
  });
});

describe("the key behind a keyset", () => {
  it("suspended, stops sealing and opening; resumed, lets both go on", async () => {
    const ladder = await open();
    const records = await ladder.records(KEYSET);
    const sealed = records.seal("x");
    await ladder.keys.suspend("orders", { reason: "drill" });
    const time = performance.now();
    vi.spyOn(performance, "now").mockImplementation(() => time + 2000);
    await expectCode(records.openBatch([sealed]), "ERR_KEY_SUSPENDED");
    await expectCode(() => records.seal("x"), "ERR_KEY_SUSPENDED");
    await expectCode(ladder.records({ ...KEYSET, keyset: "other" }), "ERR_KEY_SUSPENDED");
    await ladder.keys.resume("orders");
    vi.spyOn(performance, "now").mockImplementation(() => time + 4000);
    await records.openBatch([sealed]);
    expectBytes(records.open(sealed), text("x"));
    vi.restoreAllMocks();
  });
});

describe("export", () => {
  it("opens elsewhere under the same key, and seals with a quota of its own only", async () => {
    const ladder = await open();
    const records = await ladder.records({ ...KEYSET, context: { tenant: "acme" } });
    await records.rotate();
    const sealed = records.seal("x", { aad: text("row") });
    const keyset = await records.export();
    const elsewhere = await open();
    const imported = await openRecords({ keyring: elsewhere.keyring("orders"), keyset, context: { tenant: "acme" } });
    expectBytes(imported.open(sealed, { aad: text("row") }), text("x"));
    await expectCode(() => imported.seal("x"), "ERR_KEYSET_EXHAUSTED");
    const other = rawAesKeyring({ namespace: "a", name: "b", key: new Uint8Array(32) });
    await expectCode(openRecords({ keyring: other, keyset }), "ERR_NO_KEYRING_MATCHED");
  });

  it("is what an independent reader of Tink's format expects, down to the record", async () => {
    const ladder = await open();
    const records = await ladder.records(KEYSET);
    const older = records.seal("older", { aad: text("row 1") });
    await records.rotate();
    const newer = records.seal("newer");
    const { encryptedKeyset, info } = readEncryptedKeyset(await records.export());
    // The message inside is an ordinary one, but for its purpose: a plain keyring and a reader of the format open it.
    let clear = new Uint8Array(0);
    const { keyIds, primaryKeyId } = records.info;
    const keyring = ladder.keyring("orders");
    const { openMessage } = await import("../../src/envelope/decrypt.js");
    const { selectEngine } = await import("../../src/engine/select.js");
    clear = (await openMessage(encryptedKeyset, { keyring }, selectEngine("openssl"), "tink-keyset/v1")).plaintext;
    const keyset = readKeyset(clear);
    expect(keyset.primaryKeyId).toBe(primaryKeyId);
    expect(keyset.keys.map(({ keyId }) => keyId)).toEqual(keyIds);
    expect(info).toEqual({ primaryKeyId, keyIds });
    const openWith = (record: Uint8Array, aad: Uint8Array) => {
      const view = Buffer.from(record);
      expect(view[0]).toBe(1);
      const key = keyset.keys.find(({ keyId }) => keyId === view.readUInt32BE(1));
      const decipher = createDecipheriv("aes-256-gcm", key?.keyValue as Uint8Array, view.subarray(5, 17));
      decipher.setAAD(aad).setAuthTag(view.subarray(-16));
      return Buffer.concat([decipher.update(view.subarray(17, -16)), decipher.final()]).toString();
    };
    expect(openWith(older, text("row 1"))).toBe("older");
    expect(openWith(newer, new Uint8Array(0))).toBe("newer");
  });
});

describe("closing", () => {
  it("closes the records of a ladder with it", async () => {
    const ladder = await open();
    const records = await ladder.records(KEYSET);
    const other = await ladder.records({ ...KEYSET, keyset: "other" });
    other[Symbol.dispose]();
    await expectCode(() => other.seal("x"), "ERR_CLOSED");
    records.seal("x");
    await ladder.close();
    await expectCode(() => records.seal("x"), "ERR_CLOSED");
    await expectCode(records.rotate(), "ERR_CLOSED");
    await expectCode(ladder.records(KEYSET), "ERR_CLOSED");
  });
});
