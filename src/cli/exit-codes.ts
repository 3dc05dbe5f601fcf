/** The exit codes: one for each decision a script makes. Documented, stable. */

import { errors, KeyladderError } from "../index.js";

export const EXIT = Object.freeze({
  ok: 0,
  internal: 1,
  usage: 2,
  format: 3,
  notAuthentic: 4,
  notFound: 5,
  keyState: 6,
  denied: 7,
  hsm: 8,
  store: 9,
  limit: 10,
  someFailed: 11,
  interrupted: 130,
});

type ErrorClass = abstract new (...args: never[]) => KeyladderError;

const BY_CLASS: readonly (readonly [ErrorClass, number])[] = [
  [errors.InputError, EXIT.usage],
  [errors.FormatError, EXIT.format],
  [errors.DecryptError, EXIT.notAuthentic],
  [errors.KeyNotFoundError, EXIT.notFound],
  [errors.KeyStateError, EXIT.keyState],
  [errors.AccessDeniedError, EXIT.denied],
  [errors.HsmError, EXIT.hsm],
  [errors.StoreError, EXIT.store],
  [errors.LimitError, EXIT.limit],
  [errors.EngineError, EXIT.internal],
];

/** The exit code of a failure. Anything that is not an error of ours is internal. */
export function exitCodeOf(error: unknown): number {
  if (!KeyladderError.is(error)) return EXIT.internal;
  return BY_CLASS.find(([type]) => error instanceof type)?.[1] ?? EXIT.internal;
}

/** The call is wrong. `hint` is the next thing to type or read. */
export function usageError(message: string, hint?: string): KeyladderError {
  return new errors.InputError("ERR_INPUT", message, hint === undefined ? {} : { hint });
}

export const EXIT_CODES_HELP = `Exit codes:
  0 ok · 1 internal, engine · 2 usage · 3 malformed or cut message
  4 not authentic · 5 no such key or ladder · 6 key state · 7 denied · 8 HSM
  9 store, I/O · 10 limit · 11 some of many files failed · 130 interrupted`;
