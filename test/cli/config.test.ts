import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { configPaths, ladderFolder, parseConfig, readConfig, writeConfig } from "../../src/cli/config.js";
import { run, tempFolder } from "./harness.js";

const root = tempFolder();
let folder: string;
let count = 0;
const GOOD = { hsm: { software: "token", keyFile: "token.key" }, store: { file: "store.db" } };
const text = (value: unknown) => JSON.stringify(value);
const put = (content: string, mode = 0o600) => {
  writeFileSync(join(folder, "keyladder.json"), content);
  chmodSync(join(folder, "keyladder.json"), mode);
};

beforeEach(() => {
  folder = join(root, String(count++));
  mkdirSync(folder, { mode: 0o700 });
});

describe("the ladder's folder", () => {
  it("is -L, else KEYLADDER_HOME, else $XDG_DATA_HOME/keyladder, else ~/.local/share/keyladder", () => {
    const env = { KEYLADDER_HOME: "/k", XDG_DATA_HOME: "/x" };
    expect(ladderFolder("/l", env)).toEqual({ value: "/l", source: "-L" });
    expect(ladderFolder(undefined, env)).toEqual({ value: "/k", source: "KEYLADDER_HOME" });
    expect(ladderFolder(undefined, { XDG_DATA_HOME: "/x" })).toEqual({
      value: "/x/keyladder",
      source: "XDG_DATA_HOME",
    });
    const usual = { value: join(homedir(), ".local/share/keyladder"), source: "default" };
    expect(ladderFolder(undefined, {})).toEqual(usual);
    expect(ladderFolder(undefined, { KEYLADDER_HOME: "", XDG_DATA_HOME: "relative" })).toEqual(usual);
  });

  it("is never the current folder", async () => {
    put(text(GOOD));
    const { code, err } = await run(["status"], { cwd: folder });
    expect(code).toBe(5);
    expect(err).toContain("ERR_LADDER_NOT_FOUND");
    expect(err).toContain("keyladder init");
  });
});

describe("keyladder.json", () => {
  it("is written for its owner alone, and read back", async () => {
    await writeConfig(folder, GOOD);
    expect(await readConfig(folder)).toEqual(GOOD);
    await expect(writeConfig(folder, GOOD)).rejects.toMatchObject({ code: "ERR_FILE_EXISTS" });
  });

  it("names paths relative to its folder", () => {
    const config = { ...GOOD, hsm: { software: "/abs/token", passphrase: { file: "p" } } };
    expect(configPaths("/l", config)).toEqual({
      token: "/abs/token",
      store: "/l/store.db",
      keyFile: undefined,
      passphraseFile: "/l/p",
    });
  });

  it.each([
    ["not JSON", "{", "is not JSON"],
    ["an unknown key", text({ ...GOOD, extra: 1 }), '"extra" is not a setting'],
    ["an unknown key inside", text({ ...GOOD, store: { file: "a", url: "b" } }), '"store.url" is not a setting'],
    [
      "a secret in place of a reference",
      text({ ...GOOD, hsm: { software: "t", passphrase: "hunter2" } }),
      '"hsm.passphrase"',
    ],
    ["a missing key", text({ hsm: GOOD.hsm }), '"store"'],
    ["an empty path", text({ ...GOOD, store: { file: "" } }), '"store.file"'],
    ["a PKCS#11 module", text({ ...GOOD, hsm: { module: "/x.so" } }), "hsm."],
  ])("%s: ERR_INPUT, and no content repeated", (_what, content, message) => {
    let caught: unknown;
    try {
      parseConfig(content, "keyladder.json");
    } catch (error) {
      caught = error;
    }
    expect(caught).toMatchObject({ code: "ERR_INPUT", message: expect.stringContaining(message) });
    expect((caught as Error).message).not.toContain("hunter2");
  });

  it.each([0o620, 0o602, 0o666])("that others can write (%o) is refused: exit 9", async (mode) => {
    put(text(GOOD), mode);
    await expect(readConfig(folder)).rejects.toMatchObject({ code: "ERR_IO", hint: expect.stringContaining("chmod") });
    const { code, err } = await run(["status", "-L", folder]);
    expect(code).toBe(9);
    expect(err).toContain("can be written by others");
  });

  it("in a folder that others can write is refused", async () => {
    put(text(GOOD));
    chmodSync(folder, 0o770);
    await expect(readConfig(folder)).rejects.toMatchObject({ code: "ERR_IO" });
  });

  it("that is a symbolic link is refused", async () => {
    writeFileSync(join(folder, "real.json"), text(GOOD), { mode: 0o600 });
    symlinkSync("real.json", join(folder, "keyladder.json"));
    await expect(readConfig(folder)).rejects.toMatchObject({ code: "ERR_IO" });
  });

  it("that is not there is ERR_LADDER_NOT_FOUND", async () => {
    await expect(readConfig(join(folder, "none"))).rejects.toMatchObject({ code: "ERR_LADDER_NOT_FOUND" });
  });
});
