import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import Database from "libsql";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { StoreDriver, StoredRecord, StoreSession } from "../../../src/store/port.js";
import { sqliteStore } from "../../../src/store/sqlite.js";

let folder: string;
let file: string;
const sessions: StoreSession[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "keyladder-store-"));
  file = join(folder, "ladder", "store.db");
});

afterEach(async () => {
  for (const session of sessions.splice(0)) await session.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(create = true, path: string | URL = file): Promise<StoreSession> {
  const session = await (sqliteStore({ file: path }) as StoreDriver).open({ create });
  sessions.push(session);
  return session;
}

const id = (n: number): Uint8Array => new Uint8Array(16).fill(n);

function record(n: number, more: Partial<StoredRecord> = {}): StoredRecord {
  return {
    type: 2,
    tenantId: id(7),
    recordId: id(n),
    revision: 1,
    body: new Uint8Array([1, 2, n]),
    seal: new Uint8Array([9]),
    createdAt: 1000 + n,
    ...more,
  };
}

describe("opening", () => {
  test("a missing store is not made unless asked", async () => {
    await expect(open(false)).rejects.toMatchObject({ code: "ERR_LADDER_NOT_FOUND" });
    expect(existsSync(join(folder, "ladder"))).toBe(false);
  });

  test("an empty file is no store", async () => {
    mkdirSync(join(folder, "ladder"));
    writeFileSync(file, "", { mode: 0o600 });
    await expect(open(false)).rejects.toMatchObject({ code: "ERR_LADDER_NOT_FOUND" });
    await open(true);
  });

  test("folder 0700, files 0600, also under a loose umask", async () => {
    const before = process.umask(0);
    try {
      await (await open()).commit([{ op: "put", record: record(1) }]);
    } finally {
      process.umask(before);
    }
    expect(statSync(join(folder, "ladder")).mode & 0o777).toBe(0o700);
    for (const suffix of ["", "-wal", "-shm"]) expect(statSync(file + suffix).mode & 0o777).toBe(0o600);
  });

  test.each(["", "-wal", "-shm"])("a store%s others can write is refused", async (suffix) => {
    await (await open()).commit([{ op: "put", record: record(1) }]);
    chmodSync(file + suffix, 0o620);
    await expect(open(false)).rejects.toMatchObject({ code: "ERR_IO" });
  });

  test("a file: URL names the file", async () => {
    await open(true, pathToFileURL(file));
    expect(existsSync(file)).toBe(true);
  });

  test("bad options throw at once", () => {
    for (const bad of [undefined, {}, { file: "" }, { file: 7 }, { file: new URL("https://example.com") }]) {
      expect(() => sqliteStore(bad as never)).toThrow(expect.objectContaining({ code: "ERR_INPUT" }));
    }
  });

  test("a store from the future is refused and left as it is", async () => {
    await (await open()).close();
    const direct = new Database(file);
    direct.pragma("user_version = 99");
    direct.close();
    const bytes = readFileSync(file);
    await expect(open(true)).rejects.toMatchObject({ code: "ERR_STORE_NEWER", schema: 99 });
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  test("what is not a SQLite file is ERR_IO and left as it is", async () => {
    mkdirSync(join(folder, "ladder"));
    writeFileSync(file, "not a database, but long enough to have a header".repeat(100), { mode: 0o600 });
    const bytes = readFileSync(file);
    await expect(open(true)).rejects.toMatchObject({ code: "ERR_IO" });
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  test("a SQLite file of something else is ERR_IO", async () => {
    mkdirSync(join(folder, "ladder"));
    const direct = new Database(file);
    direct.exec("create table songs (name text)");
    direct.close();
    chmodSync(file, 0o600);
    await expect(open(true)).rejects.toMatchObject({ code: "ERR_IO" });
  });

  test("a trigger that is not ours is ERR_STORE_TAMPERED", async () => {
    await (await open()).close();
    const direct = new Database(file);
    direct.exec("create trigger t before update on records begin select raise(ignore); end");
    direct.close();
    await expect(open(false)).rejects.toMatchObject({ code: "ERR_STORE_TAMPERED" });
  });

  test("a folder in place of the file is ERR_IO", async () => {
    mkdirSync(file, { recursive: true });
    await expect(open(false)).rejects.toMatchObject({ code: "ERR_IO" });
  });

  test("durability and hygiene settings hold", async () => {
    await open();
    const direct = new Database(file);
    expect(direct.pragma("journal_mode")).toEqual([{ journal_mode: "wal" }]);
    direct.close();
  });
});

describe("records", () => {
  test("put, get, list in order, count", async () => {
    const store = await open();
    expect(await store.get(record(1))).toBeUndefined();
    const child = record(2, { parentId: id(1), createdAt: 5 });
    await store.commit([
      { op: "put", record: record(1) },
      { op: "put", record: child },
      { op: "put", record: record(3, { tenantId: id(8) }) },
    ]);
    expect(await store.get(record(1))).toEqual(record(1));
    expect(await store.get(record(2))).toEqual(child);
    const ids = async (query: Parameters<StoreSession["list"]>[0]) =>
      (await store.list(query)).map((r) => r.recordId[0]);
    expect(await ids({ type: 2, limit: 10 })).toEqual([2, 1, 3]);
    expect(await ids({ type: 2, limit: 2 })).toEqual([2, 1]);
    expect(await ids({ type: 2, tenantId: id(7), limit: 10 })).toEqual([2, 1]);
    expect(await ids({ type: 2, parentId: id(1), limit: 10 })).toEqual([2]);
    expect(await ids({ type: 2, limit: 10, after: { createdAt: 5, recordId: id(2) } })).toEqual([1, 3]);
    expect(await ids({ type: 2, limit: 10, after: { createdAt: 5, recordId: id(1) } })).toEqual([2, 1, 3]);
    expect(await store.count(2)).toBe(3);
    expect(await store.count(3)).toBe(0);
  });

  test("a write that expects another revision conflicts, and the whole batch is undone", async () => {
    const store = await open();
    await store.commit([{ op: "put", record: record(1) }]);
    const wrong = [
      { op: "put", record: record(1) },
      { op: "put", record: record(1, { revision: 3 }) },
      { op: "put", record: record(9, { revision: 2 }) },
      { op: "delete", ref: record(1), expectedRevision: 2 },
    ] as const;
    for (const write of wrong) {
      await expect(store.commit([{ op: "put", record: record(5) }, write])).rejects.toMatchObject({
        code: "ERR_STORE_CONFLICT",
      });
      expect(await store.get(record(5))).toBeUndefined();
    }
    await store.commit([{ op: "put", record: record(1, { revision: 2 }) }]);
    expect((await store.get(record(1)))?.revision).toBe(2);
    await store.commit([{ op: "delete", ref: record(1), expectedRevision: 2 }]);
    expect(await store.count(2)).toBe(0);
  });

  test("concurrent commits of one session take turns", async () => {
    const store = await open();
    await Promise.all(Array.from({ length: 20 }, (_, n) => store.commit([{ op: "put", record: record(n + 1) }])));
    expect(await store.count(2)).toBe(20);
  });

  test("a row outlives the session", async () => {
    await (await open()).commit([{ op: "put", record: record(1) }]);
    await sessions.pop()?.close();
    expect(await (await open(false)).get(record(1))).toEqual(record(1));
  });

  test("after closing, the file alone is the store", async () => {
    const store = await open();
    await store.commit([{ op: "put", record: record(1) }]);
    await store.close();
    const copy = join(folder, "copy.db");
    writeFileSync(copy, readFileSync(file), { mode: 0o600 });
    expect(await (await open(false, copy)).get(record(1))).toEqual(record(1));
  });

  test("a locked file is ERR_STORE_UNAVAILABLE, retryable", async () => {
    const store = await open();
    const direct = new Database(file);
    direct.exec("begin immediate");
    try {
      await expect(store.commit([{ op: "put", record: record(1) }])).rejects.toMatchObject({
        code: "ERR_STORE_UNAVAILABLE",
        retryable: true,
      });
    } finally {
      direct.exec("rollback");
      direct.close();
    }
    await store.commit([{ op: "put", record: record(1) }]);
  });

  test("dataVersion changes at our commits and at others'", async () => {
    const one = await open();
    const two = await open(false);
    const start = await one.dataVersion();
    expect(await one.dataVersion()).toBe(start);
    await two.commit([{ op: "put", record: record(1) }]);
    const theirs = await one.dataVersion();
    expect(theirs).not.toBe(start);
    expect(await one.get(record(1))).toEqual(record(1));
    await one.commit([{ op: "put", record: record(2) }]);
    expect(await one.dataVersion()).not.toBe(theirs);
  });

  test("after close: ERR_CLOSED; closing twice is fine", async () => {
    const store = await open();
    await store.close();
    await store.close();
    await expect(store.get(record(1))).rejects.toMatchObject({ code: "ERR_CLOSED" });
    await expect(store.dataVersion()).rejects.toMatchObject({ code: "ERR_CLOSED" });
  });
});

test("processes that make one new store at the same time all succeed", async () => {
  const module = new URL("../../../dist/store/sqlite.js", import.meta.url).href;
  const script = `
    const { sqliteStore } = await import(${JSON.stringify(module)});
    const store = await sqliteStore({ file: process.argv[1] }).open({ create: true });
    const id = new Uint8Array(16).fill(Number(process.argv[2]));
    const zero = new Uint8Array(16);
    await store.commit([{ op: "put", record: { type: 2, tenantId: zero, recordId: id, revision: 1, body: zero, seal: zero, createdAt: 1 } }]);
    await store.close();`;
  const run = (n: number) =>
    new Promise<string>((done) => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", script, file, String(n)]);
      let errors = "";
      child.stderr.on("data", (chunk) => {
        errors += chunk;
      });
      child.on("close", () => done(errors));
    });
  expect(await Promise.all([1, 2, 3, 4, 5, 6].map(run))).toEqual(["", "", "", "", "", ""]);
  expect(await (await open(false)).count(2)).toBe(6);
});
