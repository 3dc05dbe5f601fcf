/** Several processes over one keyset, at once. They run the built package: `npm run build` first. */

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const INDEX = fileURLToPath(new URL("../../dist/index.js", import.meta.url));
let folder: string;
beforeEach(() => {
  if (!existsSync(INDEX)) throw new Error("dist/ is missing: npm run build");
  folder = mkdtempSync(join(tmpdir(), "keyladder-records-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs `body` in a process of its own, with `records` open over this folder; what it returns is printed as JSON. */
function inProcess<T>(body: string): Promise<T> {
  const script = `
    const { openLadder, softwareHsm, sqliteStore } = await import(${JSON.stringify(INDEX)});
    const ladder = await openLadder({
      hsm: softwareHsm({ file: ${JSON.stringify(join(folder, "token"))}, keyFile: ${JSON.stringify(join(folder, "key"))} }),
      store: sqliteStore({ file: ${JSON.stringify(join(folder, "store.db"))} }),
      create: "if-missing",
    });
    await ladder.keys.create({ alias: "orders", ifExists: "return" });
    const records = await ladder.records({ key: "orders", keyset: "users.email", maxRecords: 4000 });
    const result = await (async () => { ${body} })();
    await ladder.close();
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

test("four processes that make one keyset at once make one, and open each other's records", async () => {
  const made = await Promise.all(
    Array.from({ length: 4 }, () =>
      inProcess<{ id: number; record: string }>(
        "return { id: records.info.primaryKeyId, record: Buffer.from(records.seal('hello')).toString('base64') };",
      ),
    ),
  );
  expect(new Set(made.map(({ id }) => id)).size).toBe(1);
  const list = JSON.stringify(made.map(({ record }) => record));
  const opened = await inProcess<string[]>(
    `return ${list}.map((record) => Buffer.from(records.open(Buffer.from(record, 'base64'))).toString());`,
  );
  expect(opened).toEqual(["hello", "hello", "hello", "hello"]);
});

test("processes that seal at once seal no more than the key may, and waste nothing where they end well", async () => {
  const body = `
    let sealed = 0;
    try { for (;;) { await records.sealBatch([Buffer.from('x')]); sealed++; } }
    catch (error) { if (error.code !== 'ERR_KEYSET_EXHAUSTED') throw error; }
    return sealed;`;
  const counts = await Promise.all([inProcess<number>(body), inProcess<number>(body), inProcess<number>(body)]);
  const sealed = counts.reduce((sum, count) => sum + count, 0);
  expect(sealed).toBeLessThanOrEqual(4000);
  expect(sealed).toBeGreaterThan(3500);
});
