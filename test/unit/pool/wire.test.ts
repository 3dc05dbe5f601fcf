import { describe, expect, test } from "vitest";
import { DecryptError, EngineError, FormatError, InputError, KeyladderError, StoreError } from "../../../src/errors.js";
import { decodeError, encodeError, workerDied } from "../../../src/pool/wire.js";

const across = (error: unknown) => decodeError(structuredClone(encodeError(error)));

describe("errors between threads", () => {
  test.each([
    new InputError("ERR_OUTPUT_TOO_SMALL", "too small", { neededBytes: 4096 }),
    new FormatError("ERR_TRUNCATED", "cut", { offset: 17 }),
    new DecryptError("ERR_CONTEXT_MISMATCH", "not bound", { contextKey: "tenant" }),
    new StoreError("ERR_IO", "disk full", { errno: "ENOSPC", retryable: true }),
    new EngineError("ERR_ENGINE_UNAVAILABLE", "no addon"),
  ])("$name $code keeps class, code, message and fields", (error) => {
    const arrived = across(error);
    expect(arrived).toBeInstanceOf(error.constructor);
    expect(KeyladderError.is(arrived, error.code)).toBe(true);
    expect({ ...arrived }).toEqual({ ...error });
    expect([arrived.name, arrived.message, arrived.retryable]).toEqual([error.name, error.message, error.retryable]);
  });

  test("what cannot be cloned stays behind, and so does the cause", () => {
    const error = new InputError("ERR_INPUT", "bad", {
      cause: new Error("inner"),
      call: () => 1,
      symbol: Symbol("x"),
      at: 3,
    });
    const arrived = across(error);
    expect(arrived).toMatchObject({ code: "ERR_INPUT", at: 3 });
    expect(arrived.cause).toBeUndefined();
    expect("call" in arrived || "symbol" in arrived).toBe(false);
  });

  test("an error of anybody else's is a thread that died", () => {
    const arrived = across(new TypeError("x is not a function\n    at secret place"));
    expect(arrived).toBeInstanceOf(EngineError);
    expect(arrived).toMatchObject({ code: "ERR_WORKER_DIED", retryable: true });
    expect(arrived.message).toBe("a thread of the pool died: x is not a function");
    expect(workerDied(undefined).message).toContain("said nothing");
  });

  test("a class that is not known here is told, not made", () => {
    const encoded = { ...encodeError(new InputError("ERR_INPUT", "bad")), name: "decryptFailed" };
    expect(decodeError(encoded)).toMatchObject({ code: "ERR_INTERNAL", message: "decryptFailed ERR_INPUT: bad" });
  });
});
