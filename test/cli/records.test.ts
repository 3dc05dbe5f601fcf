import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openLadder, softwareHsm, sqliteStore } from "../../src/index.js";
import { filesIn, jsonLines, MAIN, type Outcome, outcomeOf, run, start, tempFolder } from "./harness.js";

const root = tempFolder();
const ladder = join(root, "ladder");
const env = { KEYLADDER_HOME: ladder };
let folder: string;
let count = 0;

beforeAll(async () => {
  mkdirSync(ladder, { mode: 0o700 });
  // A key file: a passphrase costs half a second at each start.
  const config = { hsm: { software: "token", keyFile: "token.key" }, store: { file: "store.db" } };
  writeFileSync(join(ladder, "keyladder.json"), JSON.stringify(config), { mode: 0o600 });
  const opened = await openLadder({
    hsm: softwareHsm({ file: join(ladder, "token"), keyFile: join(ladder, "token.key") }),
    store: sqliteStore({ file: join(ladder, "store.db") }),
    create: "if-missing",
  });
  for (const alias of ["orders", "others"]) await opened.keys.create({ alias });
  await opened.close();
});
beforeEach(() => {
  folder = join(root, String(count++));
  mkdirSync(folder);
});

const cli = (args: readonly string[], input?: Uint8Array | string): Promise<Outcome> =>
  run(args, { cwd: folder, env, ...(input === undefined ? {} : { input }) });
const records = (verb: string, args: readonly string[], input?: Uint8Array | string) =>
  cli(["records", verb, "-k", "orders", "--keyset", "users.email", ...args], input);
const EMAIL = ["--field", "email", "--bind", "id"];
const ROWS = `{"id":17,"name":"Ann","email":"ann@example.com"}
{"id":18,"name":"Bob","email":null}
{"id":19,"name":"Chloë"}

{"id":20,"name":"Dmitri","email":"d\\u00e9\\"\\\\"}
`;
const lines = (text: string) => text.split("\n");

describe("NDJSON through a pipe", () => {
  it("seals the field and leaves every other byte; opens it again", async () => {
    const sealed = await records("seal", EMAIL, ROWS);
    expect(sealed).toMatchObject({
      code: 0,
      err: "sealed 2 of 4 rows · field email · bound to id · keyset users.email (1 key)\n",
    });
    expect(lines(sealed.out)[0]).toMatch(/^\{"id":17,"name":"Ann","email":"klr1:A[Q-Za-f][A-Za-z0-9+/]+={0,2}"\}$/);
    expect(lines(sealed.out).slice(1, 4)).toEqual(lines(ROWS).slice(1, 4));
    const opened = await records("open", EMAIL, sealed.out);
    expect(opened).toMatchObject({
      code: 0,
      err: "opened 2 of 4 rows · field email · bound to id · keyset users.email (1 key)\n",
    });
    expect(opened.out).toBe(ROWS.replace("d\\u00e9", "dé"));
  });

  it("is quiet with -q, and says it as an object with --json", async () => {
    const sealed = await records("seal", [...EMAIL, "-q"], ROWS);
    expect([sealed.code, sealed.err]).toEqual([0, ""]);
    const opened = await records("open", [...EMAIL, "--json"], sealed.out);
    const summary = { opened: 2, rows: 4, failed: 0, field: "email", bind: "id", keyset: "users.email" };
    expect(jsonLines(opened.err)).toEqual([summary]);
  });

  it("nothing in, nothing out", async () => {
    expect(await records("seal", EMAIL, "")).toMatchObject({ code: 0, out: "" });
  });

  it("takes a file, and writes one that is whole or absent", async () => {
    writeFileSync(join(folder, "users"), ROWS);
    expect((await records("seal", [...EMAIL, "-o", "sealed", "users"])).code).toBe(0);
    expect((await records("open", [...EMAIL, "-o", "opened", "sealed"])).code).toBe(0);
    expect(statSync(join(folder, "opened")).mode & 0o777).toBe(0o600);
    expect((await records("seal", [...EMAIL, "-o", "sealed", "users"])).code).toBe(2);
    const bad = await records("open", [...EMAIL, "-f", "-o", "other", "users"]);
    expect([bad.code, filesIn(folder)]).toEqual([3, ["opened", "sealed", "users"]]);
  });

  it("carries a hundred thousand rows through both at once", async () => {
    const rows = Array.from(
      { length: 100_000 },
      (_, i) => `{"id":${i},"email":"user${i}@example.com","n":[1,"${i}"]}\n`,
    );
    writeFileSync(join(folder, "rows"), rows.join(""));
    const verb = (name: string) =>
      `${process.execPath} ${MAIN} records ${name} -k orders --keyset many --field email --bind id`;
    const script = `set -o pipefail; cat rows | ${verb("seal")} | ${verb("open")} | cmp - rows`;
    const { status, stderr } = spawnSync("bash", ["-c", script], {
      cwd: folder,
      env: { PATH: process.env.PATH, ...env },
    });
    expect([status, stderr.toString()]).toEqual([0, expect.stringContaining("opened 100,000 of 100,000 rows")]);
  }, 60_000);
});

describe("what a field may hold", () => {
  it("sealing twice is refused, but for --no-prefix, which cannot tell", async () => {
    const sealed = await records("seal", EMAIL, ROWS);
    const twice = await records("seal", EMAIL, sealed.out);
    expect([twice.code, twice.out]).toEqual([2, ""]);
    expect(twice.err).toBe("error ERR_INPUT: line 1: the field is sealed already (klr1:)\n");
    const bare = await records("seal", ["--field", "email", "--no-prefix"], ROWS);
    expect(lines(bare.out)[0]).toMatch(/"email":"A[Q-Za-f][A-Za-z0-9+/]+={0,2}"/);
    const opened = await records("open", ["--field", "email", "--no-prefix"], bare.out);
    expect(lines(opened.out)[0]).toBe(lines(ROWS)[0]);
    expect((await records("open", ["--field", "email"], bare.out)).code).toBe(3);
  });

  it("anything but text needs --json-values, which brings it back as it was", async () => {
    const row = '{"id":1,"email":{"a":[1.50,"x"]}}\n';
    const refused = await records("seal", EMAIL, row);
    expect(refused.code).toBe(2);
    expect(refused.err).toContain("line 1: the field is not a string");
    expect(refused.err).toContain("--json-values");
    const sealed = await records("seal", [...EMAIL, "--json-values"], row);
    expect(sealed.out).toMatch(/^\{"id":1,"email":"klr1:[^"]+"\}\n$/);
    expect((await records("open", [...EMAIL, "--json-values"], sealed.out)).out).toBe(row);
    expect((await records("open", EMAIL, sealed.out)).out).toBe('{"id":1,"email":"{\\"a\\":[1.50,\\"x\\"]}"}\n');
  });

  it("a row needs an id to be bound to; a number and its text are the same", async () => {
    const none = await records("seal", EMAIL, '{"email":"x"}\n');
    expect([none.code, none.err]).toEqual([
      3,
      "error ERR_FORMAT: line 1: no id to bind the field to (a string or a number)\n",
    ]);
    expect((await records("seal", EMAIL, '{"id":[1],"email":"x"}\n')).code).toBe(3);
    const sealed = await records("seal", EMAIL, '{"id":7,"email":"x"}\n');
    expect((await records("open", EMAIL, sealed.out.replace(":7", ':"7"'))).code).toBe(0);
  });
});

describe("bad rows", () => {
  async function swapped(): Promise<string> {
    const rows = '{"id":1,"email":"a"}\n{"id":2,"email":"b"}\n{"id":3,"email":"c"}\n';
    const sealed = lines((await records("seal", EMAIL, rows)).out);
    const [one, two] = [sealed[0] as string, sealed[1] as string];
    const value = (row: string) => /klr1:[^"]+/.exec(row)?.[0] as string;
    return [one, two.replace(value(two), value(one)), sealed[2], ""].join("\n");
  }

  it("a value moved to another row: its line, exit 4; the rows before it were written", async () => {
    const opened = await records("open", EMAIL, await swapped());
    expect(opened).toMatchObject({ code: 4, out: '{"id":1,"email":"a"}\n' });
    expect(opened.err).toBe(
      "error ERR_DECRYPT: line 2: the field is not authentic, or sealed under another key, keyset, field or row id\n",
    );
  });

  it("with --keep-going it is left out and told, exit 11", async () => {
    const opened = await records("open", [...EMAIL, "--keep-going"], await swapped());
    expect(opened).toMatchObject({ code: 11, out: '{"id":1,"email":"a"}\n{"id":3,"email":"c"}\n' });
    expect(lines(opened.err)[0]).toContain("ERR_DECRYPT: line 2");
    expect(lines(opened.err)[1]).toContain("opened 2 of 3 rows");
  });

  it("with --keep-going every kind is told with its line, and none is sealed by mistake", async () => {
    const rows = [
      '{"id":1,"email":"a"}',
      "{",
      '{"id":2,"email":7}',
      '{"email":"x"}',
      '{"id":3,"email":"klr1:AQ=="}',
      '{"id":4,"email":"d"}',
    ];
    const sealed = await records("seal", [...EMAIL, "--keep-going", "--json"], `${rows.join("\n")}\n`);
    expect(sealed.code).toBe(11);
    expect(lines(sealed.out).map((line) => line.slice(0, 7))).toEqual(['{"id":1', '{"id":4', ""]);
    const told = jsonLines(sealed.err).map(({ error }) => error as { line: number; code: string } | undefined);
    expect(told.slice(0, 4).map((error) => [error?.line, error?.code])).toEqual([
      [2, "ERR_FORMAT"],
      [3, "ERR_INPUT"],
      [4, "ERR_FORMAT"],
      [5, "ERR_INPUT"],
    ]);
  });

  it("another field, keyset or key does not open it", async () => {
    const sealed = (await records("seal", EMAIL, '{"id":1,"email":"a","phone":null}\n')).out;
    const moved = sealed.replace('"email"', '"mail"').replace('"phone"', '"email"').replace('"mail"', '"phone"');
    expect((await records("open", ["--field", "phone", "--bind", "id"], moved)).code).toBe(4);
    expect((await records("open", ["--field", "email"], sealed)).code).toBe(4);
    const other = ["records", "seal", "-k", "orders", "--keyset", "users.phone", ...EMAIL];
    const foreign = (await cli(other, '{"id":1,"email":"a"}\n')).out;
    expect((await records("open", EMAIL, foreign)).code).toBe(4);
    const elsewhere = ["records", "open", "-k", "others", "--keyset", "users.email", ...EMAIL];
    expect((await cli(elsewhere, sealed)).code).toBe(2);
    const cut = sealed.replace(/klr1:[^"]+/, "klr1:AQAA");
    expect(await records("open", EMAIL, cut)).toMatchObject({
      code: 3,
      err: expect.stringContaining("ERR_TRUNCATED: line 1"),
    });
  });

  it("a wrong call is told before a byte is read", async () => {
    for (const [args, words] of [
      [["records", "seal", "--keyset", "x", "--field", "email"], "which key?"],
      [["records", "seal", "-k", "orders", "--field", "email"], "which keyset?"],
      [["records", "seal", "-k", "orders", "--keyset", "x"], "which field?"],
      [["records", "seal", "-k", "orders", "--keyset", "x", "--field", "a", "--bind", "a"], "bound to itself"],
      [["records", "seal", "-k", "orders", "--keyset", "x", "--field", "a", "--format", "xml"], "--format"],
      [
        ["records", "seal", "-k", "orders", "--keyset", "x", "--field", "a", "--format", "csv", "--json-values"],
        "ndjson",
      ],
      [["records", "seal", "-k", "orders", "--keyset", "a:b", "--field", "a"], '"keyset"'],
    ] as const) {
      const { code, err } = await cli(args, ROWS);
      expect([code, err]).toEqual([2, expect.stringContaining(words)]);
    }
    expect((await cli(["records", "open", "-k", "orders", "--keyset", "nobody", ...EMAIL], "")).code).toBe(5);
    const sealed = '{"id":1,"email":"klr1:AQAA"}\n';
    expect((await cli(["records", "open", "-k", "orders", "--keyset", "nobody", ...EMAIL], sealed)).code).toBe(5);
    expect((await cli(["records", "seal", "-k", "nobody", "--keyset", "x", ...EMAIL], ROWS)).code).toBe(5);
  });
});

describe("CSV", () => {
  const TABLE = 'id,email,note\r\n1,ann@example.com,"a, ""b"""\r\n2,,x\r\n3,"",y\r\n4,"two\nlines",z\r\n';
  const CSV = ["--format", "csv", ...EMAIL];

  it("seals a column and leaves the others as they were", async () => {
    const sealed = await records("seal", CSV, TABLE);
    expect(sealed.err).toContain("sealed 3 of 4 rows");
    expect(sealed.out).toMatch(
      /^id,email,note\r\n1,klr1:[^,]+,"a, ""b"""\r\n2,,x\r\n3,klr1:[^,]+,y\r\n4,klr1:[^,]+,z\r\n$/,
    );
    expect((await records("open", CSV, sealed.out)).out).toBe(TABLE);
  });

  it("is bound as NDJSON is: what one sealed the other opens", async () => {
    const sealed = (await records("seal", EMAIL, '{"id":1,"email":"ann"}\n')).out;
    const value = /klr1:[^"]+/.exec(sealed)?.[0];
    expect((await records("open", CSV, `id,email\n1,${value}\n`)).out).toBe("id,email\n1,ann\n");
    expect((await records("open", CSV, `id,email\n2,${value}\n`)).code).toBe(4);
  });

  it("names the line a bad row begins on", async () => {
    const bad = await records("seal", CSV, 'id,email\n1,"a\nb"\n2\n');
    expect([bad.code, bad.err]).toEqual([3, "error ERR_FORMAT: line 4: 1 columns, the header has 2\n"]);
    expect((await records("seal", CSV, "id,mail\n1,x\n")).code).toBe(2);
  });
});

describe("the keyset", () => {
  it("is rotated, and what was sealed still opens", async () => {
    const sealed = (await records("seal", EMAIL, ROWS)).out;
    const rotated = await records("rotate", ["--json"]);
    expect(rotated.code).toBe(0);
    const [told] = jsonLines(rotated.out);
    const { keyIds } = told as { keyIds: number[] };
    expect(told).toMatchObject({ keyset: "users.email", primaryKeyId: keyIds.at(-1) });
    const more = (await records("seal", EMAIL, ROWS)).out;
    const opened = await records("open", EMAIL, sealed + more);
    expect(opened.out).toBe((ROWS + ROWS).replaceAll("d\\u00e9", "dé"));
    expect(opened.err).toContain("(2 keys)");
    expect((await records("rotate", [])).out).toMatch(
      /^users\.email {2}new primary key \d+ {2}2 older keys still open\n$/,
    );
  });

  it("is exported, sealed", async () => {
    expect((await records("export", ["-o", "keyset"])).code).toBe(0);
    const bytes = readFileSync(join(folder, "keyset"));
    expect(bytes.includes("tink-keyset/v1")).toBe(true);
    expect((await records("export", [])).stdout.equals(bytes)).toBe(true);
    expect((await records("export", ["-o", "keyset"])).code).toBe(2);
    expect((await records("export", ["-f", "-o", "keyset"])).code).toBe(0);
    expect((await cli(["records", "export", "-k", "orders", "--keyset", "nobody"])).code).toBe(5);
    expect((await cli(["decrypt"], bytes)).code).toBe(3);
  });
});

describe("a pipe that breaks", () => {
  const manyRows = () =>
    Array.from({ length: 200_000 }, (_, i) => `{"id":${i},"email":"user${i}@example.com"}\n`).join("");

  it("a reader that leaves ends it quietly", async () => {
    const child = start(["records", "seal", "-k", "orders", "--keyset", "users.email", ...EMAIL], { cwd: folder, env });
    const outcome = outcomeOf(child);
    child.stdout?.once("data", () => child.stdout?.destroy());
    child.stdin?.end(manyRows());
    expect(await outcome).toMatchObject({ code: 9, err: "" });
  });

  it("killed, it leaves no half of a file; interrupted, it says so", async () => {
    const args = ["records", "seal", "-k", "orders", "--keyset", "users.email", ...EMAIL, "-o", "sealed"];
    for (const [signal, code] of [
      ["SIGKILL", null],
      ["SIGINT", 130],
    ] as const) {
      const child = start(args, { cwd: folder, env });
      const outcome = outcomeOf(child);
      child.stdin?.write(manyRows());
      await once(child.stdin as NodeJS.EventEmitter, "drain");
      child.kill(signal);
      expect((await outcome).code).toBe(code);
      expect(existsSync(join(folder, "sealed"))).toBe(false);
    }
    expect((await records("seal", EMAIL, ROWS)).code).toBe(0);
  });

  it("a full disk is an error, not a silence", async () => {
    if (!existsSync("/dev/full")) return;
    const child = spawn(
      "bash",
      ["-c", `${process.execPath} ${MAIN} records seal -k orders --keyset users.email --field email > /dev/full`],
      {
        cwd: folder,
        env: { PATH: process.env.PATH, ...env },
      },
    );
    child.stdin.end(ROWS);
    const [code] = (await once(child, "close")) as [number];
    expect(code).toBe(9);
  });
});
