import { randomBytes } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { filesIn, jsonLines, run, tempFolder } from "./harness.js";

const root = tempFolder();
const RAW = ["--raw-aes", "app/master=@key.bin"];
const data = randomBytes(300_000);
let folder: string;
let count = 0;
const cli = (...args: string[]) => run(args, { cwd: folder });
const read = (name: string) => readFileSync(join(folder, name));
const header = async (name: string) => jsonLines((await cli("inspect", "--json", name)).out)[0] ?? {};

beforeEach(async () => {
  folder = join(root, String(count++));
  mkdirSync(folder);
  writeFileSync(join(folder, "key.bin"), randomBytes(32));
  writeFileSync(join(folder, "a"), data);
  await cli("encrypt", ...RAW, "-c", "tenant=acme", "a");
});

describe("reencrypt", () => {
  it("replaces the message by one with a fresh id and data key, same context, same bytes, same mode", async () => {
    chmodSync(join(folder, "a.encrypted"), 0o640);
    const before = await header("a.encrypted");
    const { code, out } = await cli("reencrypt", ...RAW, "-c", "tenant=acme", "a.encrypted");
    expect(code).toBe(0);
    expect(out).toBe("a.encrypted  293.0 KiB  raw key app/master  context, stored in clear: tenant=acme\n");
    const after = await header("a.encrypted");
    expect(after).toMatchObject({ context: { tenant: "acme" }, suite: "0x0478", frameBytes: before.frameBytes });
    expect(after.messageId).not.toBe(before.messageId);
    expect(after.encryptedDataKeys).not.toEqual(before.encryptedDataKeys);
    expect(statSync(join(folder, "a.encrypted")).mode & 0o777).toBe(0o640);
    await cli("decrypt", ...RAW, "-o", "b", "a.encrypted");
    expect(read("b").equals(data)).toBe(true);
    expect(filesIn(folder)).toEqual(["a", "a.encrypted", "b", "key.bin"]);
  });

  it("signs with --sign, and keeps signed messages signed", async () => {
    await cli("reencrypt", ...RAW, "--sign", "a.encrypted");
    expect(await header("a.encrypted")).toMatchObject({ suite: "0x0578" });
    expect((await cli("reencrypt", ...RAW, "a.encrypted")).code).toBe(0);
    expect(await header("a.encrypted")).toMatchObject({ suite: "0x0578" });
    await cli("decrypt", ...RAW, "-o", "b", "a.encrypted");
    expect(read("b").equals(data)).toBe(true);
  });

  it("leaves a message that is not authentic exactly as it was", async () => {
    const bytes = read("a.encrypted");
    bytes[150_000] = (bytes[150_000] as number) ^ 1;
    writeFileSync(join(folder, "a.encrypted"), bytes);
    const { code } = await cli("reencrypt", ...RAW, "a.encrypted");
    expect(code).toBe(4);
    expect(read("a.encrypted").equals(bytes)).toBe(true);
    expect(filesIn(folder)).toEqual(["a", "a.encrypted", "key.bin"]);
  });

  it("leaves a message bound to another context as it was", async () => {
    const bytes = read("a.encrypted");
    expect((await cli("reencrypt", ...RAW, "-c", "tenant=globex", "a.encrypted")).code).toBe(4);
    expect(read("a.encrypted").equals(bytes)).toBe(true);
  });

  it("writes elsewhere with -o, never over an existing file", async () => {
    const bytes = read("a.encrypted");
    expect((await cli("reencrypt", ...RAW, "-o", "new.encrypted", "a.encrypted")).code).toBe(0);
    expect(read("a.encrypted").equals(bytes)).toBe(true);
    expect((await cli("reencrypt", ...RAW, "-o", "new.encrypted", "a.encrypted")).err).toContain("ERR_FILE_EXISTS");
  });

  it("replaces what a link points at, not the link", async () => {
    symlinkSync("a.encrypted", join(folder, "link.encrypted"));
    const before = read("a.encrypted");
    expect((await cli("reencrypt", ...RAW, "link.encrypted")).code).toBe(0);
    expect(lstatSync(join(folder, "link.encrypted")).isSymbolicLink()).toBe(true);
    expect(read("a.encrypted").equals(before)).toBe(false);
  });

  it("does trees, lists failures, exits 11", async () => {
    mkdirSync(join(folder, "tree/sub"), { recursive: true });
    writeFileSync(join(folder, "tree/sub/x.encrypted"), read("a.encrypted"));
    writeFileSync(join(folder, "tree/bad.encrypted"), "no message");
    writeFileSync(join(folder, "tree/plain"), "no message");
    const { code, err } = await cli("reencrypt", ...RAW, "-r", "tree");
    expect(code).toBe(11);
    expect(err).toContain("skipped tree/plain: not named *.encrypted");
    expect(err).toContain("tree/bad.encrypted: ");
    expect(err).toContain("1 of 2 files now under new data keys and raw key app/master");
    expect(read("tree/sub/x.encrypted").equals(read("a.encrypted"))).toBe(false);
  });

  it("--dry-run replaces nothing", async () => {
    const bytes = read("a.encrypted");
    const { out } = await cli("reencrypt", ...RAW, "--dry-run", "a.encrypted");
    expect(out).toBe("would replace a.encrypted\n");
    expect(read("a.encrypted").equals(bytes)).toBe(true);
  });
});
