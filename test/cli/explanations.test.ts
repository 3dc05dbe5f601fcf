import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { exitCodeOf, usageError } from "../../src/cli/exit-codes.js";
import { EXPLANATIONS } from "../../src/cli/explanations.js";
import { errors } from "../../src/index.js";

const source = readFileSync(new URL("../../src/errors.ts", import.meta.url), "utf8");
const codes = [...new Set(source.match(/"ERR_[A-Z0-9_]+"/g))].map((quoted) => quoted.slice(1, -1)).sort();

describe("explain", () => {
  it("has an entry for every error code, and no other", () => {
    expect(codes.length).toBeGreaterThan(30);
    expect(Object.keys(EXPLANATIONS).sort()).toEqual(codes);
  });

  it("says what each means and what to do, in whole sentences", () => {
    for (const [code, { means, todo }] of Object.entries(EXPLANATIONS)) {
      expect(means, code).toMatch(/^[A-Z].{20,}\.$/);
      expect(todo, code).toMatch(/^[A-Za-z].{20,}[.)]$/);
    }
  });
});

describe("exit codes", () => {
  it.each([
    [new errors.InputError("ERR_FILE_EXISTS", "x"), 2],
    [new errors.FormatError("ERR_TRUNCATED", "x"), 3],
    [new errors.DecryptError("ERR_DECRYPT", "x"), 4],
    [new errors.KeyNotFoundError("ERR_KEY_NOT_FOUND", "x"), 5],
    [new errors.KeyStateError("ERR_KEY_SUSPENDED", "x"), 6],
    [new errors.AccessDeniedError("ERR_ACCESS_DENIED", "x"), 7],
    [new errors.HsmError("ERR_PASSPHRASE", "x"), 8],
    [new errors.StoreError("ERR_IO", "x"), 9],
    [new errors.LimitError("ERR_LIMIT_HEADER", "x"), 10],
    [new errors.EngineError("ERR_INTERNAL", "x"), 1],
    [usageError("x"), 2],
    [new TypeError("x"), 1],
    [undefined, 1],
  ])("%s: %i", (error, code) => {
    expect(exitCodeOf(error)).toBe(code);
  });

  it("of a code's explanation is that of its class", () => {
    for (const [code, { exit }] of Object.entries(EXPLANATIONS)) {
      const classes = Object.values(errors).filter((value) => typeof value === "function" && "is" in value);
      const name = new RegExp(`export type (\\w+)Code =[^;]*"${code}"`).exec(source)?.[1];
      const type = classes.find((value) => value.name === `${name}Error`) as unknown as new (
        c: string,
        m: string,
      ) => Error;
      expect(exitCodeOf(new type(code, "x")), code).toBe(exit);
    }
  });
});
