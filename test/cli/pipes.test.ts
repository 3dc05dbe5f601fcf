import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { filesIn, jsonLines, MAIN, outcomeOf, run, start, tempFolder } from "./harness.js";

const root = tempFolder();
const RAW = ["--raw-aes", "app/master=@key.bin"];
let folder: string;
let count = 0;

beforeEach(() => {
  folder = join(root, String(count++));
  mkdirSync(folder);
  writeFileSync(join(folder, "key.bin"), randomBytes(32));
});

const cli = (args: readonly string[], input?: Uint8Array | string) =>
  run(args, { cwd: folder, ...(input === undefined ? {} : { input }) });
const seal = async (data: Uint8Array | string, ...more: string[]) =>
  (await cli(["encrypt", ...RAW, ...more], data)).stdout;

describe("stdin to stdout", () => {
  it("carries data on stdout only; the summary is on stderr", async () => {
    const data = randomBytes(500_000);
    const sealed = await cli(["encrypt", ...RAW, "-c", "tenant=acme"], data);
    expect(sealed.code).toBe(0);
    expect(sealed.err).toBe("stdout  488.3 KiB  raw key app/master  context, stored in clear: tenant=acme\n");
    const opened = await cli(["decrypt", ...RAW, "-c", "tenant=acme"], sealed.stdout);
    expect(opened.code).toBe(0);
    expect(opened.stdout.equals(data)).toBe(true);
    expect(opened.err).toBe("stdout  488.3 KiB  opened by app/master  context: tenant=acme\n");
    expect(filesIn(folder)).toEqual(["key.bin"]);
  });

  it("is silent with -q, and an object on stderr with --json", async () => {
    const sealed = await cli(["encrypt", "-q", ...RAW], "12345");
    expect(sealed.err).toBe("");
    const opened = await cli(["decrypt", "--json", ...RAW], sealed.stdout);
    expect(opened.out).toBe("12345");
    expect(jsonLines(opened.err)).toEqual([
      {
        file: "-",
        output: "-",
        plaintextBytes: 5,
        messageBytes: sealed.stdout.length,
        keyId: "app/master",
        context: {},
      },
    ]);
  });

  it("reads a file to stdout with -o -, and stdin into a file with -o", async () => {
    writeFileSync(join(folder, "a"), "abc");
    const sealed = await cli(["encrypt", ...RAW, "-o", "-", "a"]);
    const into = await cli(["decrypt", ...RAW, "-o", "b"], sealed.stdout);
    expect(into.code).toBe(0);
    expect(readFileSync(join(folder, "b"), "utf8")).toBe("abc");
    expect(statSync(join(folder, "b")).mode & 0o777).toBe(0o600);
    const again = await cli(["decrypt", ...RAW, "-o", "b"], sealed.stdout);
    expect(again.code).toBe(2);
    expect(again.err).toContain("ERR_FILE_EXISTS");
  });

  it("never replaces what is not a regular file, also with --force", async () => {
    mkdirSync(join(folder, "d"));
    symlinkSync("key.bin", join(folder, "link"));
    for (const output of ["d", "link"]) {
      const { code, err } = await cli(["encrypt", ...RAW, "-f", "-o", output], "abc");
      expect(code).toBe(2);
      expect(err).toContain("not a regular file");
    }
    expect(readFileSync(join(folder, "key.bin")).length).toBe(32);
  });

  it("works through a shell pipeline with pipefail", () => {
    const cli = `${process.execPath} ${MAIN}`;
    const raw = "--raw-aes app/master=@key.bin";
    const line = `set -o pipefail; seq 200000 | ${cli} encrypt -q ${raw} | ${cli} decrypt -q ${raw} | tail -1`;
    const { status, stdout, stderr } = spawnSync("bash", ["-c", line], { cwd: folder, encoding: "utf8" });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "200000\n", stderr: "" });
  });

  it("takes an empty stdin as an empty plaintext", async () => {
    const opened = await cli(["decrypt", ...RAW], await seal(""));
    expect(opened).toMatchObject({ code: 0, out: "" });
  });

  it("refuses what makes no sense through a pipe", async () => {
    expect((await cli(["encrypt", ...RAW, "-", "x"])).err).toContain("one message at a time");
    expect((await cli(["encrypt", ...RAW, "-r", "-"])).err).toContain("-r works on folders");
    expect((await cli(["encrypt", ...RAW, "--dry-run"])).err).toContain("--dry-run works on files");
    expect((await cli(["encrypt", "-k", "x", "--passphrase-fd", "0"])).err).toContain(
      "both the data and the passphrase",
    );
  });
});

describe("a bad message in the middle of a pipe: an error and a non-zero exit, only verified bytes before", () => {
  const data = randomBytes(300_000);

  it("cut", async () => {
    const message = await seal(data);
    const { code, stdout, err } = await cli(["decrypt", ...RAW], message.subarray(0, 200_000));
    expect(code).toBe(3);
    expect(err).toContain("error ERR_TRUNCATED");
    expect(stdout.equals(data.subarray(0, stdout.length))).toBe(true);
  });

  it("one bit flipped", async () => {
    const message = await seal(data);
    message[200_000] = (message[200_000] as number) ^ 1;
    const { code, stdout, err } = await cli(["decrypt", ...RAW], message);
    expect(code).toBe(4);
    expect(err).toContain("error ERR_DECRYPT");
    expect(stdout.length).toBeLessThan(200_000);
    expect(stdout.equals(data.subarray(0, stdout.length))).toBe(true);
  });

  it.each(["cut", "flipped"])("%s, into -o FILE: nothing is left", async (how) => {
    const message = await seal(data);
    if (how === "flipped") message[200_000] = (message[200_000] as number) ^ 1;
    const input = how === "cut" ? message.subarray(0, 200_000) : message;
    const { code } = await cli(["decrypt", ...RAW, "-o", "out"], input);
    expect(code).toBe(how === "cut" ? 3 : 4);
    expect(filesIn(folder)).toEqual(["key.bin"]);
  });

  it("a signed message is not streamed to stdout before its signature is seen; into a file it is opened", async () => {
    const message = await seal(data, "--sign");
    const refused = await cli(["decrypt", ...RAW], message);
    expect(refused).toMatchObject({ code: 4, out: "" });
    expect(refused.err).toContain("ERR_SIGNED_STREAM");
    expect(refused.err).toContain("-o FILE");
    const opened = await cli(["decrypt", ...RAW, "-o", "out"], message);
    expect(opened.code).toBe(0);
    expect(readFileSync(join(folder, "out")).equals(data)).toBe(true);
  });
});

describe("a reader that goes away", () => {
  it("ends the writer quietly, non-zero", async () => {
    const child = start(["encrypt", ...RAW], { cwd: folder });
    const done = outcomeOf(child);
    child.stdin?.write(randomBytes(1_000_000));
    await once(child.stdout as NodeJS.ReadableStream, "data");
    child.stdout?.destroy();
    child.stdin?.end(randomBytes(5_000_000));
    const { code, err } = await done;
    expect(code).toBe(9);
    expect(err).toBe("");
  });

  it("also for text", async () => {
    const line = `${process.execPath} ${MAIN} explain --json | true; echo \${PIPESTATUS[0]}`;
    const { stdout, stderr } = spawnSync("bash", ["-c", line], { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(["0\n", "9\n"]).toContain(stdout);
  });
});

describe("an interruption", () => {
  it.each(["SIGINT", "SIGTERM"] as const)("%s in the middle of -o FILE: exit 130, nothing left", async (signal) => {
    const child = start(["encrypt", ...RAW, "-o", "out"], { cwd: folder });
    const done = outcomeOf(child);
    child.stdin?.write(randomBytes(2_000_000));
    await untilTemporary();
    child.kill(signal);
    const { code, err } = await done;
    expect(code).toBe(130);
    expect(err).toContain("interrupted");
    expect(filesIn(folder)).toEqual(["key.bin"]);
  });

  it("SIGINT while files are encrypted: exit 130, no temporary file, the finished ones are whole", async () => {
    for (let i = 0; i < 40; i++) writeFileSync(join(folder, `f${i}`), randomBytes(4_000_000));
    const names = Array.from({ length: 40 }, (_, i) => `f${i}`);
    const child = start(["encrypt", ...RAW, ...names], { cwd: folder });
    const done = outcomeOf(child);
    await once(child.stdout as NodeJS.ReadableStream, "data");
    child.kill("SIGINT");
    const { code } = await done;
    expect(code).toBe(130);
    const left = filesIn(folder).filter((name) => name.endsWith(".tmp"));
    expect(left).toEqual([]);
    const sealed = filesIn(folder).filter((name) => name.endsWith(".encrypted"));
    expect(sealed.length).toBeGreaterThan(0);
    const opened = await cli(["decrypt", "-f", ...RAW, ...sealed]);
    expect(opened.code).toBe(0);
  });

  it("SIGINT while it waits for stdin: exit 130", async () => {
    const child = start(["decrypt", ...RAW], { cwd: folder });
    const done = outcomeOf(child);
    child.stdin?.write((await seal(randomBytes(100_000))).subarray(0, 50_000));
    await once(child.stdout as NodeJS.ReadableStream, "data");
    child.kill("SIGINT");
    expect((await done).code).toBe(130);
  });

  /** Until the process has begun to write. */
  async function untilTemporary(): Promise<void> {
    const begun = () => filesIn(folder).some((name) => name.endsWith(".tmp") && statSync(join(folder, name)).size > 0);
    while (!begun()) await new Promise((resolve) => setTimeout(resolve, 10));
  }
});

describe("an output that cannot be written", () => {
  it.skipIf(!existsSync("/dev/full"))("is no success: exit 9 and a reason", () => {
    for (const args of ["explain ERR_DECRYPT", "--version"]) {
      const command = `${process.execPath} ${MAIN} ${args} > /dev/full`;
      const { status, stderr } = spawnSync("sh", ["-c", command], { encoding: "utf8" });
      expect(status).toBe(9);
      expect(stderr).toContain("ERR_IO: cannot write the output: the disk is full");
    }
  });
});
