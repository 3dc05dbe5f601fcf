import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/cli/config.js";
import { openLadder } from "../../src/index.js";
import { MAIN, type Outcome, outcomeOf, type RunOptions, run, tempFolder } from "./harness.js";

const SECRET = "correct horse battery";
const folder = tempFolder();
const at = (name: string) => join(folder, name);
const outcomes: Outcome[] = [];
const cli = async (args: string[], options: RunOptions = {}) => {
  const outcome = await run(args, { cwd: folder, ...options, env: { KEYLADDER_HOME: at("ladder"), ...options.env } });
  outcomes.push(outcome);
  return outcome;
};

beforeAll(async () => {
  writeFileSync(at("pass"), `${SECRET}\n`, { mode: 0o600 });
  writeFileSync(at("wrong"), "wrong\n", { mode: 0o600 });
  expect((await cli(["init", "--passphrase-fd", "3"], { fd3: `${SECRET}\n` })).code).toBe(0);
});

describe("the passphrase comes from", () => {
  it.each<[string, string[], RunOptions]>([
    ["--passphrase-fd", ["--passphrase-fd", "3"], { fd3: SECRET }],
    ["--passphrase-fd 0, where stdin carries no data", ["--passphrase-fd", "0"], { input: `${SECRET}\r\n` }],
    ["KEYLADDER_PASSPHRASE", [], { env: { KEYLADDER_PASSPHRASE: SECRET } }],
    ["KEYLADDER_PASSPHRASE_FILE", [], { env: { KEYLADDER_PASSPHRASE_FILE: join(folder, "pass") } }],
    [
      "the descriptor before the environment",
      ["--passphrase-fd", "3"],
      { fd3: SECRET, env: { KEYLADDER_PASSPHRASE: "wrong", KEYLADDER_PASSPHRASE_FILE: "wrong" } },
    ],
    [
      "KEYLADDER_PASSPHRASE before the file",
      [],
      { env: { KEYLADDER_PASSPHRASE: SECRET, KEYLADDER_PASSPHRASE_FILE: join(folder, "wrong") } },
    ],
  ])("%s", async (_what, args, options) => {
    const { code, err } = await cli(["status", ...args], options);
    expect({ code, err }).toEqual({ code: 0, err: "" });
  });

  it("the file that keyladder.json names; loadConfig opens the same", async () => {
    mkdirSync(at("referred"), { mode: 0o700 });
    const config = {
      hsm: { software: "../ladder/token", passphrase: { file: "../pass" } },
      store: { file: "../ladder/store.db" },
    };
    writeFileSync(at("referred/keyladder.json"), JSON.stringify(config), { mode: 0o600 });
    expect((await cli(["status", "-L", "referred"])).code).toBe(0);
    const ladder = await openLadder(await loadConfig(at("referred")));
    expect((await ladder.info()).hsm[0]?.hardware).toBe(false);
    await ladder.close();
    const doctor = await cli(["doctor", "-L", "referred"]);
    expect(doctor.out).toContain("keyladder.json (");
  });
});

describe("what is refused", () => {
  it.each<[string, string[], RunOptions, number, string]>([
    ["a wrong one: exit 8", [], { env: { KEYLADDER_PASSPHRASE: "wrong" } }, 8, "ERR_PASSPHRASE"],
    ["none, and nobody to ask", [], {}, 2, "--passphrase-fd N"],
    ["an empty one", ["--passphrase-fd", "3"], { fd3: "\n" }, 2, "is empty"],
    ["two lines", ["--passphrase-fd", "3"], { fd3: "a\nb\n" }, 2, "more than one line"],
    ["a descriptor that is not open", ["--passphrase-fd", "9"], {}, 2, "is not open"],
    ["a file that is not there", [], { env: { KEYLADDER_PASSPHRASE_FILE: "/nonexistent/x" } }, 9, "ERR_IO"],
    ["more than 4096 bytes", ["--passphrase-fd", "3"], { fd3: "x".repeat(5000) }, 2, "exceeds 4096"],
  ])("%s", async (_what, args, options, code, message) => {
    const outcome = await cli(["status", ...args], options);
    expect(outcome.code).toBe(code);
    expect(outcome.err).toContain(message);
  });

  it("a passphrase file that everybody can write", async () => {
    writeFileSync(at("open"), SECRET);
    chmodSync(at("open"), 0o666);
    const { code, err } = await cli(["status"], { env: { KEYLADDER_PASSPHRASE_FILE: at("open") } });
    expect(code).toBe(2);
    expect(err).toContain("chmod 600");
  });
});

describe("at a terminal", () => {
  const script = spawnSync("script", ["--version"]);
  const present = script.error === undefined && script.status === 0;
  if (!present) console.warn("SKIPPED: the prompt is not tested, since there is no `script` command here");

  /** Runs a command in a pseudo-terminal, and types each answer when its prompt has come. */
  const type = async (line: string, answers: readonly string[]): Promise<Outcome> => {
    const inner = `stty cols 80 rows 24; ${process.execPath} ${MAIN} ${line}`;
    const child = spawn("script", ["-qec", inner, "/dev/null"], {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: "/nonexistent", TERM: "xterm", KEYLADDER_HOME: at("asked") },
    });
    const prompts = ["Passphrase for the software token", "The same again"];
    let seen = "";
    let typed = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
      const answer = answers[typed];
      if (answer === undefined || !seen.includes(prompts[typed] as string)) return;
      typed++;
      // The prompt is drawn a moment before it listens.
      setTimeout(() => child.stdin.write(answer), 200);
    });
    const outcome = await outcomeOf(child);
    outcomes.push(outcome);
    return outcome;
  };
  const ENTER = "\r";
  const CTRL_C = "\u0003";

  it.runIf(present)("a new ladder asks twice, an existing one once; nothing typed is shown", async () => {
    const differing = await type("init", [SECRET + ENTER, `something else${ENTER}`]);
    expect(differing.out).toContain("the two passphrases differ");
    expect(differing.code).toBe(2);
    expect(existsSync(at("asked/token"))).toBe(false);
    const made = await type("init", [SECRET + ENTER, SECRET + ENTER]);
    expect(made.out).toContain("Passphrase for the software token");
    expect(made.out).toContain("Ladder ready");
    expect(made.code).toBe(0);
    const status = await type("status", [SECRET + ENTER]);
    expect(status.out).toContain("ok  software token");
    expect(status.code).toBe(0);
  });

  it.runIf(present)("asks the terminal also where stdin is a pipe", async () => {
    const piped = await type("status < /dev/null", [SECRET + ENTER]);
    expect(piped.out).toContain("ok  software token");
  });

  it.runIf(present)("Ctrl-C at the prompt: exit 130, no ladder made", async () => {
    const { code } = await type("init never", [CTRL_C]);
    expect(code).toBe(130);
    expect(existsSync(at("never/token"))).toBe(false);
  });

  it.runIf(present)("refuses to write binary to it", async () => {
    writeFileSync(
      at("raw.bin"),
      Uint8Array.from({ length: 32 }, (_, i) => i * 7),
    );
    const refused = await type("encrypt --raw-aes a/b=@raw.bin < pass", []);
    expect(refused.code).toBe(2);
    expect(refused.out).toContain("not written to a terminal");
  });
});

describe("after all that", () => {
  it("no passphrase was ever printed", () => {
    expect(outcomes.length).toBeGreaterThan(10);
    for (const { out, err } of outcomes) {
      expect(out).not.toContain(SECRET);
      expect(err).not.toContain(SECRET);
    }
  });
});
