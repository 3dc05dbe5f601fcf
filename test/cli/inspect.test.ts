import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { jsonLines, run, tempFolder } from "./harness.js";

const folder = tempFolder();
const cli = (args: string[], input?: Uint8Array) =>
  run(args, { cwd: folder, ...(input === undefined ? {} : { input }) });

beforeAll(async () => {
  writeFileSync(join(folder, "key.bin"), randomBytes(32));
  writeFileSync(join(folder, "a"), "abc");
  await cli(["encrypt", "--raw-aes", "app/master=@key.bin", "-c", "tenant=acme", "a"]);
});

describe("inspect", () => {
  it("shows the header, and that nothing of it is authenticated", async () => {
    const { code, out } = await cli(["inspect", "a.encrypted"]);
    expect(code).toBe(0);
    expect(out).toContain("version 2, suite 0x0478");
    expect(out).toContain("tenant=acme  (stored in clear)");
    expect(out).toContain("app  master");
    expect(out).toContain("not authenticated");
    for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  it("as JSON: names as in the library, bytes base64", async () => {
    const { out } = await cli(["inspect", "--json", "a.encrypted"]);
    expect(jsonLines(out)).toEqual([
      {
        version: 2,
        suite: "0x0478",
        context: { tenant: "acme" },
        encryptedDataKeys: [
          {
            providerId: "app",
            keyName: "master",
            providerInfo: expect.stringMatching(/^[A-Za-z0-9+/]+=*$/),
            ciphertextBytes: 48,
          },
        ],
        frameBytes: 4096,
        headerBytes: expect.any(Number),
        messageId: expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/),
        authenticated: false,
      },
    ]);
  });

  it("reads stdin, of which a prefix will do, and names each of several files", async () => {
    const message = readFileSync(join(folder, "a.encrypted"));
    expect((await cli(["inspect"], message)).out).toContain("stdin\n");
    const { out } = await cli(["inspect", "--json", "a.encrypted", "a.encrypted"]);
    expect(jsonLines(out).map((line) => line.file)).toEqual(["a.encrypted", "a.encrypted"]);
  });

  it("of several, the bad one is listed: exit 11; alone: exit 3", async () => {
    const { code, err } = await cli(["inspect", "a.encrypted", "a"]);
    expect(code).toBe(11);
    expect(err).toContain("a: ");
    expect((await cli(["inspect", "a"])).code).toBe(3);
    expect((await cli(["inspect"], readFileSync(join(folder, "a.encrypted")).subarray(0, 50))).code).toBe(3);
  });

  it("shows a hostile context harmless", async () => {
    const evil = "x\u001b[2Jy\nforged line";
    await cli(["encrypt", "--raw-aes", "app/master=@key.bin", "-c", `k=${evil}`, "-o", "evil", "a"]);
    const { out } = await cli(["inspect", "evil"]);
    expect(out).not.toContain("\u001b");
    expect(out).not.toMatch(/^forged/m);
    expect(jsonLines((await cli(["inspect", "--json", "evil"])).out)[0]).toMatchObject({ context: { k: evil } });
  });
});
