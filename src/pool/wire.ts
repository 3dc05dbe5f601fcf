/** What crosses between this thread and the pool's: a block of counters, a task, and errors. Never a key, never data. */

import * as errors from "../errors.js";
import { EngineError, KeyladderError } from "../errors.js";

/** How many large calls there were: what an idle helper waits on. */
export const CALLS = 0;
/** How many helpers wait on it. */
export const ASLEEP = 1;
/** From here on one number a seat: `FREE`, or `TAKEN` from when a helper is asked for until it leaves. */
export const SEATS = 2;
export const FREE = 0;
export const TAKEN = 1;

/** What one helper is asked to do: sit in a seat and help until nothing comes for a while. */
export interface HelpTask {
  /** Over a SharedArrayBuffer, laid out as above. */
  readonly control: Int32Array;
  readonly seat: number;
}

/** How many calls it joined, or why it could not help. */
export type HelpAnswer = { readonly joined: number } | { readonly failure: EncodedError };

/** An error of ours as structured cloning can carry it: cloning one as it is loses its class and its code. */
export interface EncodedError {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Of any other error only the message crosses, as that of a thread that died. */
export function encodeError(error: unknown): EncodedError {
  if (!KeyladderError.is(error)) return encodeError(workerDied(error));
  const { name, code, message, retryable, cause: _, ...fields } = error;
  return { name, code, message, retryable, fields: Object.fromEntries(Object.entries(fields).filter(isPlain)) };
}

/** What structured cloning can carry, and needs no more than itself to be understood. */
function isPlain([, value]: [string, unknown]): boolean {
  return ["string", "number", "boolean", "bigint", "undefined"].includes(typeof value) || value === null;
}

/** The error as it was: class, code, message, fields. */
export function decodeError({ name, code, message, retryable, fields }: EncodedError): KeyladderError {
  const known: unknown = Object.entries(errors).find(([exported]) => exported === name)?.[1];
  const details = { ...fields, retryable };
  if (!isErrorClass(known)) return new EngineError("ERR_INTERNAL", `${name} ${code}: ${message}`, details);
  return new known(code, message, details);
}

type ErrorClass = new (code: string, message: string, details: errors.ErrorDetails) => KeyladderError;

function isErrorClass(value: unknown): value is ErrorClass {
  return typeof value === "function" && value.prototype instanceof KeyladderError;
}

/** A thread of the pool ended, or never began. What it was asked to help with is done by the others. */
export function workerDied(cause: unknown): EngineError {
  const why = cause instanceof Error ? cause.message.split("\n", 1)[0] : "it said nothing";
  return new EngineError("ERR_WORKER_DIED", `a thread of the pool died: ${why}`, { retryable: true });
}
