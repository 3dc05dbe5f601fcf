import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { jsonLines, run } from "./harness.js";

describe("wrong usage: exit 2, one line and a hint", () => {
  it.each([
    [["encrpt"], "Did you mean encrypt?", "keyladder --help"],
    [["key", "crete"], "Did you mean create?", "keyladder key --help"],
    [["encrypt", "--sgn"], "Did you mean --sign?", "keyladder encrypt --help"],
    [["encrypt", "-c", "tenant", "-k", "x", "f"], "-c expected KEY=VALUE", "tenant=acme"],
    [["encrypt", "-c", "a=1", "-c", "a=2", "-k", "x", "f"], 'names "a" twice', undefined],
    [["encrypt", "f"], "which key?", "key list"],
    [["key", "create", "a", "--rotation-period", "90"], "such as 90d", "key --help"],
    [["key", "create", "a", "--protection", "paper"], "wrapped, resident", "key --help"],
    [["key", "rotate"], "KEY", "key --help"],
    [["key", "alias", "a"], "which KEY", undefined],
    [["key", "suspend", "a"], "--reason", undefined],
    [["decrypt", "--passphrase-fd", "x"], "file descriptor", undefined],
    [["init", "--module", "/usr/lib/x.so"], "software tokens only", "--hsm software"],
    [["init", "--hsm", "cloud"], "software tokens only", "--hsm software"],
    [["init", "a", "-L", "b"], "different folders", undefined],
    [["reencrypt", "-k", "x", "-"], "works on files", undefined],
    [["reencrypt", "--stale", "--raw-aes", "a/b=@c", "x"], "--stale needs -k", undefined],
    [["explain", "context"], 'no error code "context"', "ERR_CONTEXT_MISMATCH?"],
    [["completion", "csh"], "no completion", "bash, zsh, fish"],
    [["status", "extra"], "too many arguments", "status --help"],
  ])("%j", async (args, message, hint) => {
    const { code, out, err } = await run(args);
    expect(code).toBe(2);
    expect(out).toBe("");
    const lines = err.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^error ERR_INPUT: /);
    expect(lines[0]).toContain(message);
    expect(lines.length).toBeLessThanOrEqual(2);
    if (hint !== undefined) expect(lines[1]).toContain(hint);
  });

  it("is an object with --json", async () => {
    const { code, err } = await run(["--json", "encrypt", "--sgn"]);
    expect(code).toBe(2);
    expect(jsonLines(err)).toEqual([
      {
        error: {
          code: "ERR_INPUT",
          message: expect.stringContaining("--sgn"),
          hint: expect.any(String),
          retryable: false,
        },
      },
    ]);
  });

  it.each([["--passphrase=hunter2secret"], ["--pin=hunter2secret"], ["--password=hunter2secret"]])(
    "%s: explains, and does not repeat the secret",
    async (flag) => {
      const { code, out, err } = await run(["decrypt", flag]);
      expect(code).toBe(2);
      expect(err).toContain("a secret is never an argument");
      expect(err).toContain("--passphrase-fd");
      expect(out + err).not.toContain("hunter2");
    },
  );

  it("takes -- as the end of flags", async () => {
    const { err } = await run(["inspect", "--", "--passphrase"]);
    expect(err).toContain("cannot read --passphrase");
  });
});

describe("help", () => {
  it("comes with examples, the pipefail note and the exit codes", async () => {
    const { code, out } = await run(["decrypt", "--help"]);
    expect(code).toBe(0);
    expect(out).toContain("Examples:");
    expect(out).toContain("pipefail");
    expect(out).toContain("130 interrupted");
    expect(out).toContain("--passphrase-fd");
  });

  it.each([
    [["--help"]],
    [["init", "--help"]],
    [["key", "--help"]],
    [["key", "create", "--help"]],
    [["encrypt", "--help"]],
    [["decrypt", "--help"]],
    [["reencrypt", "--help"]],
    [["inspect", "--help"]],
  ])("%j fits 80 columns", async (args) => {
    const { out } = await run(args);
    for (const line of out.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  it("without a command goes to stderr, exit 2", async () => {
    const { code, out, err } = await run([]);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toContain("First steps:");
    expect((await run(["key"])).err).toContain("Usage: keyladder key");
  });

  it("prints the version", async () => {
    expect((await run(["--version"])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("explain", () => {
  it("takes a code with or without ERR_, in any case", async () => {
    const full = await run(["explain", "ERR_DECRYPT"]);
    expect(full.code).toBe(0);
    expect(full.out).toContain("exit 4");
    expect(full.out).toContain("What to do:");
    expect((await run(["explain", "decrypt"])).out).toBe(full.out);
  });

  it("speaks JSON", async () => {
    const [one] = jsonLines((await run(["explain", "--json", "ERR_IO"])).out);
    expect(one).toEqual({ code: "ERR_IO", exit: 9, means: expect.any(String), todo: expect.any(String) });
    expect(jsonLines((await run(["explain", "--json"])).out).length).toBeGreaterThan(30);
  });
});

describe("completion", () => {
  it.each(["bash", "zsh"])("%s: a script that bash accepts", async (shell) => {
    const { code, out } = await run(["completion", shell]);
    expect(code).toBe(0);
    expect(out).toContain("reencrypt");
    expect(spawnSync("bash", ["-n"], { input: out }).status).toBe(0);
  });

  it("completes commands and flags in bash", async () => {
    const { out } = await run(["completion", "bash"]);
    const ask = (line: string, word: number) =>
      spawnSync("bash", [], {
        input: `${out}\nCOMP_WORDS=(${line}); COMP_CWORD=${word}; _keyladder; printf '%s\\n' "\${COMPREPLY[@]}"`,
        encoding: "utf8",
      }).stdout.split("\n");
    expect(ask("keyladder enc", 1)).toContain("encrypt");
    expect(ask("keyladder key cr", 2)).toContain("create");
    expect(ask("keyladder key create --rot", 3)).toContain("--rotation-period");
  });

  it("has fish", async () => {
    expect((await run(["completion", "fish"])).out).toContain("complete -c keyladder");
  });
});
