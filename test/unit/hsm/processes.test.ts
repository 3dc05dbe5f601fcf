/** One token file, several processes. They run the built package: `npm test` builds first. */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { keyFileToken, openSession } from "./fixtures.js";

const DRIVER = new URL("../../../dist/hsm/software/driver.js", import.meta.url);

type Child = ChildProcessByStdio<null, Readable, null>;

/** Runs `body` with `session`, opened on the token with `create`. */
function run(file: string, keyFile: string, body: string): Child {
  const script = `
    import { softwareDriver } from ${JSON.stringify(DRIVER.href)};
    const [file, keyFile] = process.argv.slice(1);
    const session = await softwareDriver({ file, keyFile }).open({ create: true });
    const hex = (bytes) => Buffer.from(bytes).toString("hex");
    ${body}
    await session.close();
  `;
  const args = ["--input-type=module", "--eval", script, "--", file, keyFile];
  return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
}

async function linesOf(child: Child, onLine?: (count: number) => void): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    onLine?.(lines.length);
  }
  return lines;
}

beforeAll(() => {
  if (!existsSync(DRIVER)) throw new TypeError(`${fileURLToPath(DRIVER)} is missing: npm run build`);
});

describe("several processes", () => {
  it("that make the token at once all open the same one", async () => {
    for (let round = 0; round < 3; round++) {
      const { folder, file, keyFile } = await keyFileToken();
      const body = `const { tag } = await session.mac({ role: "seal", data: Buffer.from("x") }); console.log(hex(tag));`;
      const said = await Promise.all(Array.from({ length: 4 }, () => linesOf(run(file, keyFile, body))));
      expect(said.map((lines) => lines.length)).toEqual([1, 1, 1, 1]);
      expect(new Set(said.flat()).size).toBe(1);
      expect((await readdir(folder)).sort()).toEqual(["key", "token"]);
    }
  });

  it("that add resident keys at once lose none", async () => {
    const { file, keyFile, driver } = await keyFileToken();
    const body = `for (let i = 0; i < 8; i++) console.log(hex((await session.generateCmk({ residence: "resident" })).objectId));`;
    const said = (await Promise.all(Array.from({ length: 3 }, () => linesOf(run(file, keyFile, body))))).flat();
    expect(said).toHaveLength(24);
    const held = (await (await openSession(driver)).listResidentCmks()).map((id) => Buffer.from(id).toString("hex"));
    expect(held.sort()).toEqual(said.sort());
  });

  it("one killed while it adds: every key it reported is there, and others add on", async () => {
    const { file, keyFile, driver } = await keyFileToken();
    const body = `for (;;) console.log(hex((await session.generateCmk({ residence: "resident" })).objectId));`;
    const reported: string[] = [];
    for (let round = 0; round < 4; round++) {
      const child = run(file, keyFile, body);
      const killAfter = 2 + Math.floor(Math.random() * 4);
      reported.push(...(await linesOf(child, (count) => count === killAfter && child.kill("SIGKILL"))));
    }
    const session = await openSession(driver);
    await session.generateCmk({ residence: "resident" });
    const held = new Set((await session.listResidentCmks()).map((id) => Buffer.from(id).toString("hex")));
    expect(reported.length).toBeGreaterThanOrEqual(8);
    expect(reported.filter((id) => !held.has(id))).toEqual([]);
  });
});
