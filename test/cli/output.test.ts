import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { errorObject, Output, toJsonLine, wrap } from "../../src/cli/output.js";
import { progressOf } from "../../src/cli/progress.js";
import { bytesText, contextText, dateText, harmless, oneLine } from "../../src/cli/text.js";
import { errors } from "../../src/index.js";

function terminal(): PassThrough & { isTTY: boolean; columns: number; text(): string } {
  const stream = new PassThrough();
  return Object.assign(stream, { isTTY: true, columns: 80, text: () => String(stream.read() ?? "") });
}

describe("JSON", () => {
  it("has dates as ISO text and bytes as base64, Buffers too", () => {
    const value = {
      at: new Date(0),
      bytes: Uint8Array.of(1, 2),
      buffer: Buffer.from("hi"),
      big: 2n ** 60n,
      none: undefined,
    };
    expect(toJsonLine(value)).toBe(
      '{"at":"1970-01-01T00:00:00.000Z","bytes":"AQI=","buffer":"aGk=","big":"1152921504606846976"}',
    );
  });

  it("of an error: code, message, typed fields; no cause, no stack", () => {
    const cause = new TypeError("inner text");
    const error = new errors.FormatError("ERR_FORMAT", "bad", { cause, offset: 7 });
    expect(errorObject(error)).toEqual({ code: "ERR_FORMAT", message: "bad", offset: 7, retryable: false });
  });

  it("of an error that is not ours: its class, never its text", () => {
    const shown = JSON.stringify(errorObject(new TypeError("secret text")));
    expect(shown).toContain("ERR_INTERNAL");
    expect(shown).toContain("TypeError");
    expect(shown).not.toContain("secret text");
  });
});

describe("colour", () => {
  const failing = (env: NodeJS.ProcessEnv) => {
    const err = terminal();
    new Output(terminal(), err, env).error(new errors.InputError("ERR_INPUT", "x"));
    return err.text();
  };

  it("is for terminals, and not with NO_COLOR", () => {
    expect(failing({})).toContain("\u001b[31merror");
    expect(failing({ NO_COLOR: "1" })).toBe("error ERR_INPUT: x\n");
    expect(failing({ TERM: "dumb" })).toBe("error ERR_INPUT: x\n");
    const pipe = new PassThrough();
    new Output(pipe, pipe, {}).warn("x");
    expect(String(pipe.read())).toBe("warning x\n");
  });
});

describe("what goes where", () => {
  it("-q silences notes and summaries of piped verbs, not results, not errors", () => {
    const [out, err] = [terminal(), terminal()];
    const output = new Output(out, err, { NO_COLOR: "1" });
    output.mode = { json: false, quiet: true, verbose: false };
    output.note("note");
    output.result("summary", {}, "stderr");
    output.result("result", {});
    output.error(new errors.InputError("ERR_INPUT", "x"));
    expect(out.text()).toBe("result\n");
    expect(err.text()).toBe("error ERR_INPUT: x\n");
  });

  it("-v names the system error behind one of ours", () => {
    const err = terminal();
    const output = new Output(terminal(), err, { NO_COLOR: "1" });
    output.mode = { json: false, quiet: false, verbose: true };
    const cause = Object.assign(new TypeError("path"), { code: "ENOSPC" });
    output.error(new errors.StoreError("ERR_IO", "x", { cause }));
    expect(err.text()).toBe("error ERR_IO: x\ncause TypeError ENOSPC\n");
  });
});

describe("layout", () => {
  it("wraps words, and pairs under each other", () => {
    expect(wrap("aa bb cc", 5)).toEqual(["aa bb", "cc"]);
    const output = new Output(terminal(), terminal(), {});
    const text = output.pairs([
      ["a", "x ".repeat(100).trim()],
      ["long name", "y"],
    ]);
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    expect(text.split("\n").at(-1)).toBe("long name  y");
  });

  it("sets tables without borders, rows of one line", () => {
    const table = new Output(terminal(), terminal(), {}).table(
      ["A", "B"],
      [
        ["1\n2", "x"],
        ["3", "yy"],
      ],
    );
    expect(table.split("\n")).toEqual(["A     B", "1\\n2  x", "3     yy"]);
  });

  it("writes sizes, dates and contexts as people do", () => {
    expect([0, 1023, 1024, 12 * 2 ** 20].map(bytesText)).toEqual(["0 B", "1023 B", "1.0 KiB", "12.0 MiB"]);
    expect(dateText(new Date(0))).toBe("1970-01-01");
    expect(contextText({ a: "1", b: "2" })).toBe("a=1 b=2");
  });

  it("lets nothing drive the terminal", () => {
    expect(harmless("a\u001b[0m\u202eb\n")).toBe("a\\u{1b}[0m\\u{202e}b\n");
    expect(oneLine("a\nb")).toBe("a\\nb");
  });
});

describe("progress", () => {
  const of = (change: { isTTY?: boolean; quiet?: boolean; json?: boolean }) => {
    const err = Object.assign(terminal(), { isTTY: change.isTTY ?? true });
    const output = new Output(terminal(), err, {});
    output.mode = { json: change.json ?? false, quiet: change.quiet ?? false, verbose: false };
    const progress = progressOf("name", output);
    progress.update(5_000_000, 20_000_000);
    progress.stop();
    return err.text();
  };

  it("shows on a terminal, and erases itself", () => {
    expect(of({})).toContain("name");
    expect(of({})).toContain("25%");
  });

  it.each([{ isTTY: false }, { quiet: true }, { json: true }])("is silent with %j", (change) => {
    expect(of(change)).toBe("");
  });
});
