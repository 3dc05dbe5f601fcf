/** Attacks on record keysets: by whoever writes the store, by another tenant, and by whoever moves sealed values about. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { concat, u32, utf8 } from "../../src/bytes.js";
import { type Ladder, type LadderOptions, openLadder, openRecords, softwareHsm, sqliteStore } from "../../src/index.js";
import { parseEncryptedKeyset } from "../../src/message/tink.js";
import { expectBytes, expectCode, flipBit } from "../kit.js";

const text = (value: string) => utf8(value, "text");
const KEYSET = { key: "orders", keyset: "users.email" } as const;
const [LEASE, KEYSET_TYPE] = [9, 14];

interface Row {
  record_id: Buffer;
  revision: number;
  body: Buffer;
  seal: Buffer;
}

let folder: string;
const opened: Ladder[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "keyladder-keysets-"));
});
afterEach(async () => {
  for (const ladder of opened.splice(0)) await ladder.close();
  rmSync(folder, { recursive: true });
});

async function open(options: Partial<LadderOptions> = {}): Promise<Ladder> {
  const hsm = softwareHsm({ file: join(folder, "token"), keyFile: join(folder, "key") });
  const store = sqliteStore({ file: join(folder, "store.db") });
  const ladder = await openLadder({ hsm, store, create: "if-missing", ...options });
  opened.push(ladder);
  await ladder.keys.create({ alias: "orders", ifExists: "return" });
  return ladder;
}

/** The attacker writes the file as it likes. */
function attack<T>(work: (database: InstanceType<typeof Database>) => T): T {
  const database = new Database(join(folder, "store.db"), { timeout: 2000 });
  try {
    return work(database);
  } finally {
    database.close();
  }
}

const rowsOf = (type: number): Row[] =>
  attack((database) => {
    const sql = "select record_id, revision, body, seal from records where type = ? order by created_at";
    return (database.prepare(sql).all([type]) as Record<string, unknown>[]).map(
      (row) =>
        Object.fromEntries(
          Object.entries(row).map(([name, value]) => [name, value instanceof ArrayBuffer ? Buffer.from(value) : value]),
        ) as unknown as Row,
    );
  });

const restore = (type: number, { record_id, revision, body, seal }: Row) =>
  attack((database) =>
    database
      .prepare("update records set revision = ?, body = ?, seal = ? where type = ? and record_id = ?")
      .run([revision, body, seal, type, record_id]),
  );

/** The lease row of the keyset: the one whose count is not of a KEK. */
function keysetLease(): Row {
  return rowsOf(LEASE).at(-1) as Row;
}

describe("the store", () => {
  test("a rolled-back lease is noticed by whoever saw it", async () => {
    const ladder = await open();
    const records = await ladder.records({ ...KEYSET, maxRecords: 1280 });
    const before = keysetLease();
    await records.sealBatch(Array.from({ length: 200 }, (_, i) => u32(i)));
    expect(keysetLease().revision).toBeGreaterThan(before.revision);
    restore(LEASE, before);
    await expectCode(records.sealBatch(Array.from({ length: 1000 }, (_, i) => u32(i))), "ERR_STORE_TAMPERED");
  });

  test("a lease that is gone does not start again from nothing", async () => {
    const ladder = await open();
    (await ladder.records(KEYSET))[Symbol.dispose]();
    await ladder.close();
    const row = keysetLease();
    attack((database) =>
      database.prepare("delete from records where type = ? and record_id = ?").run([LEASE, row.record_id]),
    );
    const records = await (await open()).records(KEYSET);
    const error = await expectCode(() => records.seal("x"), "ERR_KEYSET_EXHAUSTED");
    expect(error.cause).toMatchObject({ code: "ERR_STORE_TAMPERED" });
    await expectCode(records.sealBatch([text("x")]), "ERR_STORE_TAMPERED");
  });

  test("a changed keyset is refused", async () => {
    const ladder = await open();
    await ladder.records(KEYSET);
    await ladder.close();
    const row = rowsOf(KEYSET_TYPE)[0] as Row;
    restore(KEYSET_TYPE, { ...row, body: Buffer.from(flipBit(row.body, 8 * 400)) });
    await expectCode((await open()).records(KEYSET), "ERR_STORE_TAMPERED");
  });

  test("a keyset in the place of another is refused", async () => {
    const ladder = await open();
    await ladder.records(KEYSET);
    await ladder.records({ ...KEYSET, keyset: "users.phone" });
    await ladder.close();
    const [one, two] = rowsOf(KEYSET_TYPE) as [Row, Row];
    restore(KEYSET_TYPE, { ...two, record_id: one.record_id });
    restore(KEYSET_TYPE, { ...one, record_id: two.record_id });
    await expectCode((await open()).records(KEYSET), "ERR_STORE_TAMPERED");
  });

  test("an older keyset does not take the place of a rotated one, for whoever saw it", async () => {
    const ladder = await open();
    const records = await ladder.records(KEYSET);
    const before = rowsOf(KEYSET_TYPE)[0] as Row;
    await records.rotate();
    restore(KEYSET_TYPE, before);
    await expectCode(records.export(), "ERR_STORE_TAMPERED");
    await expectCode(ladder.records(KEYSET), "ERR_STORE_TAMPERED");
  });

  test("a keyset that vanished is not made anew, for whoever saw it", async () => {
    const ladder = await open();
    await ladder.records(KEYSET);
    attack((database) => database.prepare("delete from records where type = ?").run([KEYSET_TYPE]));
    await expectCode(ladder.records(KEYSET), "ERR_STORE_TAMPERED");
  });
});

describe("another tenant", () => {
  test("has a keyset of the same name, and opens nothing of ours with it", async () => {
    const [ours, theirs] = [await open(), await open({ tenant: "globex" })];
    const sealed = (await ours.records(KEYSET)).seal("x");
    await expectCode((await theirs.records(KEYSET)).openBatch([sealed]), "ERR_DECRYPT");
  });

  test("does not open our export", async () => {
    const [ours, theirs] = [await open(), await open({ tenant: "globex" })];
    const keyset = await (await ours.records(KEYSET)).export();
    await expectCode(openRecords({ keyring: theirs.keyring("orders"), keyset }), "ERR_NO_KEYRING_MATCHED");
    await expectCode(openRecords({ keyring: theirs.keyring(), keyset }), "ERR_NO_KEYRING_MATCHED");
  });
});

describe("sealed values", () => {
  test("moved to another row do not open there", async () => {
    const records = await (await open()).records(KEYSET);
    const aad = (row: number) => u32(row);
    const [a, b] = await records.sealBatch([text("low"), text("high")], { aad });
    await expectCode(records.openBatch([b, a] as Uint8Array[], { aad }), "ERR_DECRYPT");
    const settled = await records.openBatchSettled([a, a] as Uint8Array[], { aad });
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  });

  test("of another keyset do not open, though their prefix is made to fit", async () => {
    const ladder = await open();
    const records = await ladder.records(KEYSET);
    const other = (await ladder.records({ ...KEYSET, keyset: "users.phone" })).seal("x");
    await expectCode(() => records.open(other), "ERR_DECRYPT");
    const relabelled = concat(Uint8Array.of(1), u32(records.info.primaryKeyId), other.subarray(5));
    await expectCode(() => records.open(relabelled), "ERR_DECRYPT");
    await expectCode(() => records.open(concat(Uint8Array.of(0), records.seal("x").subarray(1))), "ERR_DECRYPT");
  });

  test("cut short do not open, and nothing of the batch around them is lost", async () => {
    const records = await (await open()).records(KEYSET);
    const sealed = await records.sealBatch([text("one"), text("two"), text("three")]);
    const settled = await records.openBatchSettled(
      sealed.map((record, i) => record.subarray(0, record.length - (i % 2))),
    );
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expectBytes((settled[2] as PromiseFulfilledResult<Uint8Array>).value, text("three"));
  });

  test("a sealed keyset is no message to decrypt, re-encrypt or read in part", async () => {
    const ladder = await open();
    const message = parseEncryptedKeyset(await (await ladder.records(KEYSET)).export());
    await expectCode(ladder.decrypt(message), "ERR_CONTEXT_MISMATCH");
    const { reencrypt, decryptStream } = await import("../../src/index.js");
    const keyring = ladder.keyring("orders");
    await expectCode(reencrypt(message, { from: keyring, to: keyring }), "ERR_CONTEXT_MISMATCH");
    const { drain } = await import("../kit.js");
    const { bytes, error } = await drain(decryptStream({ keyring }), [message]);
    expect([bytes.length, error]).toMatchObject([0, { code: "ERR_CONTEXT_MISMATCH" }]);
  });
});
