import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { filesIn, jsonLines, type RunOptions, run, tempFolder } from "./harness.js";

const root = tempFolder();
let folder: string;
let count = 0;
const at = (name: string) => join(folder, name);
const cli = (args: string[], options: RunOptions = {}) =>
  run(args, { cwd: folder, ...options, env: { KEYLADDER_HOME: at("ladder"), ...options.env } });
const init = (...more: string[]) => cli(["init", "--key-file", "token.key", ...more]);
const keyId = /^cmk_[0-9a-hjkmnp-tv-z]{26}$/;

beforeEach(() => {
  folder = join(root, String(count++));
  mkdirSync(folder);
});

describe("init", () => {
  it("makes a folder for its owner alone, and is safe to run twice", async () => {
    const first = await init();
    expect(first).toMatchObject({ code: 0, err: "" });
    expect(first.out).toBe(`Ladder ready in ${at("ladder")}    token: SOFTWARE, not an HSM (see: keyladder doctor)\n`);
    expect(statSync(at("ladder")).mode & 0o777).toBe(0o700);
    for (const name of filesIn(at("ladder"))) expect(statSync(at(`ladder/${name}`)).mode & 0o077, name).toBe(0);
    expect(statSync(at("token.key")).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(at("ladder/keyladder.json"), "utf8"))).toEqual({
      hsm: { software: "token", keyFile: at("token.key") },
      store: { file: "store.db" },
    });
    await cli(["key", "create", "orders"]);
    const token = readFileSync(at("ladder/token"));
    expect(await cli(["init"])).toMatchObject({ code: 0, out: first.out });
    expect((await init()).code).toBe(0);
    expect(readFileSync(at("ladder/token")).equals(token)).toBe(true);
    expect((await cli(["key", "describe", "orders"])).code).toBe(0);
  });

  it("takes DIR, says how to name it from now on, and speaks JSON", async () => {
    const made = await cli(["init", "prod", "--key-file", "prod/token.key"]);
    expect(made.err).toContain("export KEYLADDER_HOME=");
    expect(existsSync(at("ladder"))).toBe(false);
    expect(JSON.parse(readFileSync(at("prod/keyladder.json"), "utf8")).hsm.keyFile).toBe("token.key");
    renameSync(at("prod"), at("moved"));
    const [status] = jsonLines((await cli(["status", "--json", "-L", "moved"])).out);
    expect(status).toMatchObject({ ok: true, keys: 0, hsm: [{ hardware: false, health: "up" }] });
    const [again] = jsonLines((await cli(["init", "moved", "--json"])).out);
    expect(again).toMatchObject({ folder: at("moved"), created: false });
  });

  it("completes a ladder that was begun: a token without store and configuration", async () => {
    await init();
    for (const name of filesIn(at("ladder"))) if (name !== "token") rmSync(at(`ladder/${name}`));
    expect((await init()).code).toBe(0);
    expect((await cli(["key", "create", "orders"])).code).toBe(0);
  });

  it("does not make a new token for an old store: exit 8", async () => {
    await init();
    rmSync(at("ladder/token"));
    const { code, err } = await init();
    expect(code).toBe(8);
    expect(err).toContain("ERR_HSM_REFUSED");
    expect(err).toContain("backup");
    expect(existsSync(at("ladder/token"))).toBe(false);
  });

  it("does not put an empty store in the place of a lost one: exit 9", async () => {
    await init();
    for (const name of filesIn(at("ladder"))) if (name.startsWith("store.db")) rmSync(at(`ladder/${name}`));
    const { code, err } = await init();
    expect(code).toBe(9);
    expect(err).toContain("restore the store from its backup");
    expect(existsSync(at("ladder/store.db"))).toBe(false);
  });

  it("several at once: all succeed, on one ladder", async () => {
    const outcomes = await Promise.all([init(), init(), init()]);
    expect(outcomes.map(({ code, err }) => [code, err])).toEqual(outcomes.map(() => [0, expect.any(String)]));
    expect((await cli(["key", "create", "orders"])).code).toBe(0);
  });

  it("keeps the settings of a ladder that is there", async () => {
    await init();
    const { code, err } = await cli(["init", "--key-file", "another.key"]);
    expect(code).toBe(2);
    expect(err).toContain("does not use this --key-file");
    expect((await cli(["init", "--store", "elsewhere.db"])).code).toBe(2);
  });

  it("refuses a folder that others can write", async () => {
    mkdirSync(at("ladder"), { mode: 0o700 });
    const { chmodSync } = await import("node:fs");
    chmodSync(at("ladder"), 0o777);
    const { code, err } = await init();
    expect(code).toBe(9);
    expect(err).toContain("chmod go-w");
    expect(filesIn(at("ladder"))).toEqual([]);
  });
});

describe("the session of the README", () => {
  it("init, key create, encrypt, decrypt, inspect, status", async () => {
    await init();
    const made = await cli(["key", "create", "orders", "--rotation-period", "90d"]);
    expect(made.out).toMatch(/^cmk_[0-9a-z]{26} {2}orders {2}active {2}v1 {2}rotates \d{4}-\d\d-\d\d\n$/);
    const data = randomBytes(100_000);
    writeFileSync(at("invoices.csv"), data);
    const sealed = await cli(["encrypt", "-k", "orders", "-c", "tenant=acme", "invoices.csv"]);
    expect(sealed.out).toBe("invoices.csv.encrypted  97.7 KiB  key orders v1  context, stored in clear: tenant=acme\n");
    rmSync(at("invoices.csv"));
    const other = await cli(["decrypt", "-c", "tenant=globex", "invoices.csv.encrypted"]);
    expect(other.code).toBe(4);
    expect(other.err).toContain("error ERR_CONTEXT_MISMATCH: ");
    expect(existsSync(at("invoices.csv"))).toBe(false);
    const opened = await cli(["decrypt", "-c", "tenant=acme", "invoices.csv.encrypted"]);
    expect(opened.out).toMatch(/^invoices\.csv {2}97\.7 KiB {2}opened by cmk_\w{26} v1 {2}context: tenant=acme\n$/);
    expect(readFileSync(at("invoices.csv")).equals(data)).toBe(true);
    const [header] = jsonLines((await cli(["inspect", "--json", "invoices.csv.encrypted"])).out);
    expect(header).toMatchObject({
      version: 2,
      suite: "0x0478",
      context: { tenant: "acme" },
      encryptedDataKeys: [{ providerId: "keyladder", keyId: expect.stringMatching(keyId), kekVersion: 1 }],
      frameBytes: 4096,
      authenticated: false,
    });
    const status = await cli(["status"]);
    expect(status.out).toMatch(
      /^ok {2}software token, not an HSM, up [\d.]+ ms · sqlite schema \d+ · 1 key · (native \w+|openssl)\n$/,
    );
  });

  it("in a pipe: the summary of decrypt names the key that opened", async () => {
    await init();
    await cli(["key", "create", "orders"]);
    const sealed = await cli(["encrypt", "--json", "-k", "orders"], { input: "abc" });
    expect(jsonLines(sealed.err)[0]).toMatchObject({ keyId: expect.stringMatching(keyId), keyVersion: 1 });
    const opened = await cli(["decrypt", "--json"], { input: sealed.stdout });
    expect(opened.out).toBe("abc");
    expect(jsonLines(opened.err)[0]).toMatchObject({ keyId: expect.stringMatching(keyId), keyVersion: 1 });
  });

  it("works with a raw key as a further master: either opens", async () => {
    await init();
    await cli(["key", "create", "orders"]);
    writeFileSync(at("raw.bin"), randomBytes(32));
    writeFileSync(at("a"), "abc");
    const raw = ["--raw-aes", "app/backup=@raw.bin"];
    const sealed = await cli(["encrypt", "-k", "orders", ...raw, "a"]);
    expect(sealed.out).toContain("key orders v1 + raw key app/backup");
    expect((await cli(["decrypt", "-o", "b", "a.encrypted"])).code).toBe(0);
    expect((await run(["decrypt", ...raw, "-o", "c", "a.encrypted"], { cwd: folder })).code).toBe(0);
    expect(readFileSync(at("c"), "utf8")).toBe("abc");
  });
});

describe("key", () => {
  beforeEach(async () => {
    await init();
  });
  const create = async (...args: string[]) => jsonLines((await cli(["key", "create", "--json", ...args])).out)[0] ?? {};

  it("create: every option, shown by describe", async () => {
    const options = [
      "--description",
      "card data",
      "--tag",
      "team=pay",
      "--context-key",
      "tenant",
      "--protection",
      "resident",
    ];
    const made = await create("orders", "--rotation-period", "30d", ...options);
    expect(made).toMatchObject({
      keyId: expect.stringMatching(keyId),
      alias: "orders",
      keyState: "active",
      keyVersion: 1,
      rotationPeriod: "30d",
      protection: "resident",
      description: "card data",
      tags: { team: "pay" },
      contextKeys: ["tenant"],
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      versions: [{ version: 1, state: "active" }],
    });
    const { out } = await cli(["key", "describe", "orders"]);
    for (const part of ["card data", "team=pay", "resident", "30d", made.keyId as string]) expect(out).toContain(part);
    for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    const refused = await cli(["encrypt", "-k", "orders"], { input: "x" });
    expect(refused).toMatchObject({ code: 2, out: "" });
    expect(refused.err).toContain('requires context "tenant"');
    const sealed = await cli(["encrypt", "-k", "orders", "-c", "tenant=acme"], { input: "x" });
    const unasked = await cli(["decrypt"], { input: sealed.stdout });
    expect(unasked).toMatchObject({ code: 2, out: "" });
    expect(unasked.err).toContain('requires context "tenant"');
    expect(await cli(["decrypt", "-c", "tenant=acme"], { input: sealed.stdout })).toMatchObject({ code: 0, out: "x" });
  });

  it("create: an alias that is taken is exit 6, or the key with --if-not-exists", async () => {
    const first = await create("orders");
    const second = await cli(["key", "create", "orders"]);
    expect(second.code).toBe(6);
    expect(second.err).toContain("ERR_KEY_EXISTS");
    expect(await create("orders", "--if-not-exists")).toEqual(first);
  });

  it("list: a table, or one object per line; by state, tag and tenant", async () => {
    expect((await cli(["key", "list"])).err).toContain("no keys");
    await create("orders", "--tag", "team=pay");
    await create("users");
    await create("theirs", "--tenant", "globex");
    await cli(["key", "suspend", "users", "--reason", "test"]);
    const { out } = await cli(["key", "list"]);
    expect(out.split("\n")[0]).toMatch(/^ALIAS +KEY ID +STATE +VERSION +ROTATES$/);
    expect(out).toContain("orders");
    expect(out).not.toContain("theirs");
    for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    const names = async (...args: string[]) =>
      jsonLines((await cli(["key", "list", "--json", ...args])).out).map((line) => line.alias);
    expect(await names()).toEqual(["orders", "users"]);
    expect(await names("--state", "suspended")).toEqual(["users"]);
    expect(await names("--tag", "team=pay")).toEqual(["orders"]);
    expect(await names("--tenant", "globex")).toEqual(["theirs"]);
  });

  it("alias: a further name, moved, taken away", async () => {
    const a = await create("a");
    const b = await create("b");
    await cli(["key", "alias", "current", "a"]);
    const idOf = async (name: string) => jsonLines((await cli(["key", "describe", "--json", name])).out)[0]?.keyId;
    expect(await idOf("current")).toBe(a.keyId);
    expect((await cli(["key", "alias", "current", b.keyId as string])).out).toContain(b.keyId as string);
    expect(await idOf("current")).toBe(b.keyId);
    expect((await cli(["key", "alias", "--remove", "current"])).code).toBe(0);
    expect((await cli(["key", "describe", "current"])).code).toBe(5);
    expect(await idOf("b")).toBe(b.keyId);
  });

  it("rotate: new messages use the new version, old ones open; reencrypt --stale moves only the old", async () => {
    await create("orders");
    writeFileSync(at("a"), "abc");
    await cli(["encrypt", "-k", "orders", "a"]);
    const rotated = await cli(["key", "rotate", "orders"]);
    expect(rotated.out).toContain("orders  v1 -> v2");
    expect((await cli(["decrypt", "-o", "b", "a.encrypted"])).out).toContain(" v1");
    expect((await cli(["reencrypt", "-k", "orders", "--stale", "a.encrypted"])).out).toContain("key orders v2");
    const before = readFileSync(at("a.encrypted"));
    const again = await cli(["reencrypt", "-k", "orders", "--stale", "a.encrypted"]);
    expect(again.out).toContain("is under key orders v2 already");
    expect(readFileSync(at("a.encrypted")).equals(before)).toBe(true);
    expect((await cli(["decrypt", "-o", "c", "a.encrypted"])).out).toContain(" v2");
    expect(readFileSync(at("c"), "utf8")).toBe("abc");
  });

  it("suspend and resume: exit 6 between them, at both ends", async () => {
    await create("orders");
    const sealed = await cli(["encrypt", "-k", "orders"], { input: "abc" });
    const suspended = await cli(["key", "suspend", "orders", "--reason", "laptop stolen"]);
    expect(suspended.out).toContain("suspended");
    expect((await cli(["key", "describe", "orders"])).out).toContain("laptop stolen");
    const decrypt = await cli(["decrypt"], { input: sealed.stdout });
    expect(decrypt).toMatchObject({ code: 6, out: "" });
    expect(decrypt.err).toContain("ERR_KEY_SUSPENDED");
    expect((await cli(["encrypt", "-k", "orders"], { input: "abc" })).code).toBe(6);
    expect((await cli(["key", "suspend", "orders", "--reason", "again"])).err).toContain("ERR_TRANSITION");
    expect((await cli(["key", "resume", "orders"])).code).toBe(0);
    expect((await cli(["decrypt"], { input: sealed.stdout })).out).toBe("abc");
  });

  it("no such key: exit 5, before any output file", async () => {
    writeFileSync(at("a"), "abc");
    const { code, err } = await cli(["encrypt", "-k", "nobody", "a"]);
    expect(code).toBe(5);
    expect(err).toContain("ERR_KEY_NOT_FOUND");
    expect(existsSync(at("a.encrypted"))).toBe(false);
  });

  it("a message of another ladder: exit 5", async () => {
    await create("orders");
    const sealed = await cli(["encrypt", "-k", "orders"], { input: "abc" });
    await cli(["init", "other", "--key-file", "other.key"]);
    const { code, err } = await cli(["decrypt", "-L", "other"], { input: sealed.stdout });
    expect(code).toBe(5);
    expect(err).toContain("ERR_NO_KEYRING_MATCHED");
  });

  it("a context that no header can hold: exit 10", async () => {
    await create("orders");
    const { code, err } = await cli(["encrypt", "-k", "orders", "-c", `k=${"v".repeat(70_000)}`], { input: "abc" });
    expect(code).toBe(10);
    expect(err).toContain("ERR_LIMIT_HEADER");
  });
});

describe("reencrypt from a raw key to the ladder", () => {
  it("opens with the raw key, seals under -k", async () => {
    await init();
    await cli(["key", "create", "orders"]);
    writeFileSync(at("raw.bin"), randomBytes(32));
    writeFileSync(at("a"), "abc");
    const raw = ["--raw-aes", "app/old=@raw.bin"];
    await cli(["encrypt", ...raw, "a"]);
    expect((await cli(["reencrypt", "-k", "orders", ...raw, "a.encrypted"])).code).toBe(0);
    expect((await cli(["decrypt", "-o", "b", "a.encrypted"])).code).toBe(0);
    expect((await cli(["decrypt", ...raw, "-o", "c", "a.encrypted"])).code).toBe(5);
    expect(readFileSync(at("b"), "utf8")).toBe("abc");
  });
});

describe("a damaged ladder", () => {
  it("says what is wrong, with the code's exit", async () => {
    await init();
    const token = readFileSync(at("ladder/token"));
    writeFileSync(at("ladder/token"), token.subarray(0, 100), { mode: 0o600 });
    expect((await cli(["status"])).code).toBe(3);
    token[token.length - 1] = (token[token.length - 1] as number) ^ 1;
    writeFileSync(at("ladder/token"), token, { mode: 0o600 });
    const wrong = await cli(["status"]);
    expect(wrong.code).toBe(8);
    expect(wrong.err).toContain("ERR_PASSPHRASE");
    rmSync(at("ladder/token"));
    expect((await cli(["status"])).code).toBe(5);
  });
});

describe("doctor", () => {
  it("shows settings with their sources, and what is weak", async () => {
    await init();
    const { code, out } = await cli(["doctor"]);
    expect(code).toBe(0);
    expect(out).toContain("(KEYLADDER_HOME)");
    expect(out).toContain("(keyladder.json)");
    expect(out).toContain("not an HSM");
    expect(out).toContain("acts as administrator");
    expect(out).toContain("opens with a key file");
    expect(out).toContain("the files are the owner's alone");
    for (const line of out.split("\n")) if (!line.includes(folder)) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  it("speaks JSON, and finds files that others can read or write", async () => {
    await init();
    const { chmodSync } = await import("node:fs");
    chmodSync(at("ladder/store.db"), 0o644);
    const [readable] = jsonLines((await cli(["doctor", "--json"])).out);
    expect(readable?.findings).toContainEqual({
      level: "weak",
      message: expect.stringContaining("others can read it"),
    });
    chmodSync(at("ladder/store.db"), 0o666);
    const writable = await cli(["doctor", "--json"]);
    expect(writable.code).toBe(9);
    expect(jsonLines(writable.out)[0]?.findings).toContainEqual({
      level: "bad",
      message: expect.stringContaining("others can write it"),
    });
  });

  it("without a ladder: what is missing, exit 5", async () => {
    const { code, out } = await cli(["doctor"]);
    expect(code).toBe(5);
    expect(out).toContain("ERR_LADDER_NOT_FOUND");
  });
});
