import { createHash, randomBytes } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { filesIn, jsonLines, run, tempFolder } from "./harness.js";

const root = tempFolder();
let folder: string;
let count = 0;
const RAW = ["--raw-aes", "app/master=@key.bin"];
const cli = (...args: string[]) => run(args, { cwd: folder });
const read = (name: string) => readFileSync(join(folder, name));
const write = (name: string, data: string | Uint8Array) => writeFileSync(join(folder, name), data);

beforeEach(() => {
  folder = join(root, String(count++));
  mkdirSync(folder);
  write("key.bin", randomBytes(32));
});

describe("encrypt and decrypt files with a raw key, without any ladder", () => {
  it("writes FILE.encrypted and FILE; the plaintext is the owner's alone", async () => {
    const data = randomBytes(300_000);
    write("a.bin", data);
    const sealed = await cli("encrypt", ...RAW, "-c", "tenant=acme", "a.bin");
    expect(sealed).toMatchObject({ code: 0, err: "" });
    expect(sealed.out).toBe("a.bin.encrypted  293.0 KiB  raw key app/master  context, stored in clear: tenant=acme\n");
    const opened = await cli("decrypt", ...RAW, "-c", "tenant=acme", "-o", "b.bin", "a.bin.encrypted");
    expect(opened).toMatchObject({ code: 0, err: "" });
    expect(read("b.bin").equals(data)).toBe(true);
    expect(statSync(join(folder, "b.bin")).mode & 0o777).toBe(0o600);
    expect(filesIn(folder)).toEqual(["a.bin", "a.bin.encrypted", "b.bin", "key.bin"]);
  });

  it.each([0, 1, 4096, 8192])("%i bytes", async (bytes) => {
    const data = randomBytes(bytes);
    write("a", data);
    await cli("encrypt", ...RAW, "a");
    expect((await cli("decrypt", ...RAW, "-f", "a.encrypted")).code).toBe(0);
    expect(read("a").equals(data)).toBe(true);
  });

  it("speaks JSON, one object a file", async () => {
    write("a", "1");
    write("b", "22");
    const { code, out } = await cli("--json", "encrypt", ...RAW, "-c", "x=y", "a", "b");
    expect(code).toBe(0);
    const common = { keyId: "app/master", context: { x: "y" }, messageBytes: expect.any(Number) };
    expect(jsonLines(out)).toEqual([
      { file: "a", output: "a.encrypted", plaintextBytes: 1, ...common },
      { file: "b", output: "b.encrypted", plaintextBytes: 2, ...common },
    ]);
  });

  it("signs with --sign: suite 0x0578", async () => {
    write("a", "1");
    await cli("encrypt", ...RAW, "--sign", "a");
    const [header] = jsonLines((await cli("inspect", "--json", "a.encrypted")).out);
    expect(header).toMatchObject({ suite: "0x0578", authenticated: false });
    expect((await cli("decrypt", ...RAW, "-o", "b", "a.encrypted")).code).toBe(0);
    expect(read("b").toString()).toBe("1");
  });

  it("seals for several raw keys; each opens", async () => {
    write("second.bin", randomBytes(16));
    write("a", "both");
    const second = ["--raw-aes", "app/second/part=@second.bin"];
    expect((await cli("encrypt", ...RAW, ...second, "a")).code).toBe(0);
    expect((await cli("decrypt", ...RAW, "-o", "b", "a.encrypted")).code).toBe(0);
    expect((await cli("decrypt", ...second, "-o", "c", "a.encrypted")).code).toBe(0);
    expect(read("c").toString()).toBe("both");
  });
});

describe("what is refused, with nothing written", () => {
  beforeEach(async () => {
    write("a", randomBytes(50_000));
    await cli("encrypt", ...RAW, "-c", "tenant=acme", "a");
  });
  const expectNothing = () => expect(filesIn(folder)).toEqual(["a", "a.encrypted", "key.bin"]);

  it("an existing file, unless --force", async () => {
    const before = createHash("sha256").update(read("a.encrypted")).digest("hex");
    const refused = await cli("encrypt", ...RAW, "a");
    expect(refused.code).toBe(2);
    expect(refused.err).toContain("ERR_FILE_EXISTS");
    expect(createHash("sha256").update(read("a.encrypted")).digest("hex")).toBe(before);
    expect((await cli("encrypt", ...RAW, "-f", "a")).code).toBe(0);
    expect(createHash("sha256").update(read("a.encrypted")).digest("hex")).not.toBe(before);
    expectNothing();
  });

  it("the file itself as its output, and what is not a regular file, also with --force", async () => {
    expect((await cli("encrypt", ...RAW, "-f", "-o", "a", "a")).err).toContain("the same file");
    symlinkSync("a", join(folder, "link"));
    const { code, err } = await cli("decrypt", ...RAW, "-f", "-o", "link", "a.encrypted");
    expect(code).toBe(2);
    expect(err).toContain("not a regular file");
  });

  it("another context value: exit 4, the value not repeated", async () => {
    const { code, err } = await cli("decrypt", ...RAW, "-c", "tenant=globex", "-o", "b", "a.encrypted");
    expect(code).toBe(4);
    expect(err).toContain("ERR_CONTEXT_MISMATCH");
    expect(err).not.toContain("globex");
    expectNothing();
  });

  it("a flipped bit in a frame: exit 4", async () => {
    const bytes = read("a.encrypted");
    bytes[bytes.length - 5_000] = (bytes[bytes.length - 5_000] as number) ^ 1;
    write("a.encrypted", bytes);
    const { code, err } = await cli("decrypt", ...RAW, "-o", "b", "a.encrypted");
    expect(code).toBe(4);
    expect(err).toContain("ERR_DECRYPT");
    expectNothing();
  });

  it("a cut message: exit 3", async () => {
    truncateSync(join(folder, "a.encrypted"), 40_000);
    const { code, err } = await cli("decrypt", ...RAW, "-o", "b", "a.encrypted");
    expect(code).toBe(3);
    expect(err).toContain("ERR_TRUNCATED");
    expectNothing();
  });

  it("trailing bytes: exit 3", async () => {
    appendFileSync(join(folder, "a.encrypted"), "x");
    expect((await cli("decrypt", ...RAW, "-o", "b", "a.encrypted")).code).toBe(3);
    expectNothing();
  });

  it("base64 text: exit 3, and how to decode it", async () => {
    write("a.encrypted", read("a.encrypted").toString("base64"));
    const { code, err } = await cli("decrypt", ...RAW, "-o", "b", "a.encrypted");
    expect(code).toBe(3);
    expect(err).toContain("ERR_LOOKS_LIKE_BASE64");
    expectNothing();
  });

  it("no key at hand: exit 5", async () => {
    write("key.bin", randomBytes(32));
    const { code } = await cli("decrypt", "--raw-aes", "app/other=@key.bin", "-o", "b", "a.encrypted");
    expect(code).toBe(5);
    expectNothing();
  });

  it("no such file: exit 9", async () => {
    const { code, err } = await cli("encrypt", ...RAW, "nowhere");
    expect(code).toBe(9);
    expect(err).toContain("ERR_IO");
  });

  it("a folder that cannot be made: exit 9", async () => {
    const { code, err } = await cli("encrypt", ...RAW, "-o", "a/below/b", "a");
    expect(code).toBe(9);
    expect(err).toContain("not a folder");
    expectNothing();
  });

  it("an unknown output name: -o is asked for", async () => {
    write("message", read("a.encrypted"));
    const { code, err } = await cli("decrypt", ...RAW, "message");
    expect(code).toBe(2);
    expect(err).toContain("-o OUT");
  });
});

describe("raw key files", () => {
  it.each([
    ["hex text", randomBytes(32).toString("hex"), "hex text"],
    ["hex text of 32 characters", randomBytes(16).toString("hex"), "hex text"],
    ["hex text with a line break", `${randomBytes(32).toString("hex")}\n`, "hex text"],
    ["base64 text", randomBytes(32).toString("base64"), "base64"],
    ["base64 text of 24 characters", randomBytes(16).toString("base64"), "base64"],
    ["31 bytes", randomBytes(31), "16, 24 or 32"],
    ["nothing", "", "16, 24 or 32"],
    ["4 KiB", randomBytes(4096), "256 or more"],
  ])("%s: refused with the reason, exit 2", async (_what, content, reason) => {
    write("a", "1");
    write("key.bin", content);
    const { code, err } = await cli("encrypt", ...RAW, "a");
    expect(code).toBe(2);
    expect(err).toContain(reason);
    if (content.length > 0) expect(err).not.toContain(content.toString().trim().slice(0, 12));
    expect(filesIn(folder)).toEqual(["a", "key.bin"]);
  });

  it.each(["app=@key.bin", "app/=@key.bin", "/m=@key.bin", "app/m=key.bin", "app/m=@"])(
    "%s: not the form",
    async (text) => {
      write("a", "1");
      const { code, err } = await cli("encrypt", "--raw-aes", text, "a");
      expect(code).toBe(2);
      expect(err).toContain("NAMESPACE/NAME=@FILE");
    },
  );
});

describe("trees and many files", () => {
  beforeEach(() => {
    mkdirSync(join(folder, "tree/a/b"), { recursive: true });
    write("tree/1", "1");
    write("tree/a/2", "22");
    write("tree/a/b/3", "333");
    symlinkSync("../1", join(folder, "tree/a/link"));
    symlinkSync("..", join(folder, "tree/a/loop"));
    write("tree/.keyladder-0a1b2c.tmp", "half a file");
  });

  it("-r keeps the tree, takes no symbolic link and says so", async () => {
    const sealed = await cli("encrypt", ...RAW, "-r", "-o", "out", "tree");
    expect(sealed.code).toBe(0);
    expect(sealed.err).toContain("skipped tree/a/link: a symbolic link, not followed");
    expect(sealed.err).toContain("skipped tree/a/loop: a symbolic link, not followed");
    expect(sealed.err).toContain("skipped tree/.keyladder-0a1b2c.tmp: being written, or left by");
    expect(sealed.err).toContain("3 of 3 files encrypted");
    expect(filesIn(join(folder, "out"))).toEqual(["1.encrypted", "a/2.encrypted", "a/b/3.encrypted"]);
    const opened = await cli("decrypt", ...RAW, "-r", "-o", "back", "out");
    expect(opened.code).toBe(0);
    expect(filesIn(join(folder, "back"))).toEqual(["1", "a/2", "a/b/3"]);
    expect(read("back/a/b/3").toString()).toBe("333");
  });

  it("-r beside the originals; a second run leaves the messages alone", async () => {
    await cli("encrypt", ...RAW, "-r", "tree");
    expect(filesIn(join(folder, "tree"))).toContain("a/b/3.encrypted");
    const again = await cli("encrypt", ...RAW, "-r", "-f", "tree");
    expect(again.code).toBe(0);
    expect(again.err).toContain("skipped tree/1.encrypted: encrypted already");
    expect(filesIn(join(folder, "tree")).filter((name) => name.endsWith(".encrypted.encrypted"))).toEqual([]);
  });

  it("lists each failure, does the others, exits 11", async () => {
    await cli("encrypt", ...RAW, "-r", "-o", "out", "tree");
    write("out/a/2.encrypted", "garbage");
    const { code, out, err } = await cli("--json", "decrypt", ...RAW, "-r", "-o", "back", "out");
    expect(code).toBe(11);
    expect(filesIn(join(folder, "back"))).toEqual(["1", "a/b/3"]);
    expect(jsonLines(out).map((line) => line.output)).toEqual(["back/1", "back/a/b/3"]);
    expect(jsonLines(err)).toEqual([
      { error: expect.objectContaining({ file: "out/a/2.encrypted", code: expect.any(String) }) },
    ]);
    const human = await cli("decrypt", ...RAW, "-f", "-r", "-o", "back", "out");
    expect(human.code).toBe(11);
    expect(human.err).toContain("out/a/2.encrypted: ");
    expect(human.err).toContain("2 of 3 files decrypted");
  });

  it("a folder without -r is a mistake; two files of one name cannot share a folder", async () => {
    expect((await cli("encrypt", ...RAW, "tree")).err).toContain("-r takes every file");
    mkdirSync(join(folder, "other"));
    write("other/1", "1");
    const { code, err } = await cli("encrypt", ...RAW, "-o", "out", "tree/1", "other/1");
    expect(code).toBe(2);
    expect(err).toContain("would both become");
  });

  it("--dry-run writes nothing and needs no key", async () => {
    const { code, out } = await cli("encrypt", "-k", "orders", "-r", "--dry-run", "-o", "out", "tree");
    expect(code).toBe(0);
    expect(out.split("\n")[0]).toBe("would write out/1.encrypted  from tree/1");
    expect(filesIn(folder)).not.toContain("out/1.encrypted");
  });
});

describe("names that would drive a terminal", () => {
  it("are shown harmless", async () => {
    const name = "a\u001b[31m\nforged";
    write(name, "1");
    const { code, out } = await cli("encrypt", ...RAW, name);
    expect(code).toBe(0);
    expect(out).not.toContain("\u001b");
    expect(out.trimEnd().split("\n").length).toBe(1);
  });
});
