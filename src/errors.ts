/**
 * One base class, ten subclasses: one per decision a caller makes. Codes are stable, messages are for people.
 *
 * A message never holds a key, a PIN, a passphrase, plaintext or the value of a context pair. Failures of
 * authentication are uniform: a wrong key, a bad tag, a bad commitment and a bad signature all read the same.
 */

export type InputCode =
  | "ERR_INPUT"
  | "ERR_OUTPUT_TOO_SMALL"
  | "ERR_OVERLAP"
  | "ERR_CLOSED"
  | "ERR_FILE_EXISTS"
  | "ERR_NOT_IN_THIS_RUNTIME";
export type FormatCode =
  | "ERR_FORMAT"
  | "ERR_TRUNCATED"
  | "ERR_TRAILING_BYTES"
  | "ERR_LOOKS_LIKE_BASE64"
  | "ERR_UNSUPPORTED_VERSION";
export type DecryptCode = "ERR_DECRYPT" | "ERR_CONTEXT_MISMATCH" | "ERR_COMMITMENT_POLICY" | "ERR_SIGNED_STREAM";
export type KeyNotFoundCode = "ERR_KEY_NOT_FOUND" | "ERR_LADDER_NOT_FOUND" | "ERR_NO_KEYRING_MATCHED";
export type KeyStateCode =
  | "ERR_KEY_NOT_ACTIVE"
  | "ERR_KEY_SUSPENDED"
  | "ERR_KEY_DEACTIVATED"
  | "ERR_KEY_USAGE"
  | "ERR_KEY_EXISTS"
  | "ERR_TRANSITION";
export type AccessDeniedCode = "ERR_ACCESS_DENIED";
export type HsmCode = "ERR_HSM_REFUSED" | "ERR_HSM_UNAVAILABLE" | "ERR_PASSPHRASE";
export type StoreCode =
  | "ERR_STORE_TAMPERED"
  | "ERR_STORE_NEWER"
  | "ERR_STORE_CONFLICT"
  | "ERR_STORE_UNAVAILABLE"
  | "ERR_IO";
export type EngineCode = "ERR_ENGINE_SELF_TEST" | "ERR_ENGINE_UNAVAILABLE" | "ERR_WORKER_DIED" | "ERR_INTERNAL";
export type LimitCode =
  | "ERR_LIMIT_DATA_KEYS"
  | "ERR_LIMIT_PLAINTEXT"
  | "ERR_LIMIT_HEADER"
  | "ERR_LIMIT_QUEUE"
  | "ERR_KEYSET_EXHAUSTED";

/** Every code an error of ours can carry. */
export type ErrorCode =
  | InputCode
  | FormatCode
  | DecryptCode
  | KeyNotFoundCode
  | KeyStateCode
  | AccessDeniedCode
  | HsmCode
  | StoreCode
  | EngineCode
  | LimitCode;

/** What an error may carry besides its code: `cause`, whether a later try may succeed, and its typed fields. */
export interface ErrorDetails {
  readonly cause?: unknown;
  readonly retryable?: boolean;
  readonly [field: string]: unknown;
}

const BRAND = Symbol.for("keyladder.error");

/** The base of every error this package throws on purpose. */
export class KeyladderError extends Error {
  readonly code: ErrorCode;
  /** True where the same call may succeed later without a change by the caller. */
  readonly retryable: boolean;
  readonly [field: string]: unknown;

  protected constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const { cause, retryable = false, ...fields } = details;
    super(message, cause === undefined ? undefined : { cause });
    Object.assign(this, fields);
    this.code = code;
    this.retryable = retryable;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** True for an error of ours, with the given code if one is named; works across realms and duplicate installs. */
  static is(error: unknown, code?: ErrorCode): error is KeyladderError {
    if (typeof error !== "object" || error === null || !(BRAND in error)) return false;
    return code === undefined || (error as { code?: unknown }).code === code;
  }

  override get name(): string {
    return this.constructor.name;
  }
}

/** The call is wrong: change the arguments. */
export class InputError extends KeyladderError {
  constructor(code: InputCode, message: string, details?: ErrorDetails) {
    super(code, message, details);
  }
}

/** The bytes are not a message (record, token file) this version understands. `offset` says where, in bytes. */
export class FormatError extends KeyladderError {
  constructor(code: FormatCode, message: string, details?: ErrorDetails) {
    super(code, message, details);
  }
}

/** The message is not authentic, or not what the caller demanded of it. */
export class DecryptError extends KeyladderError {
  constructor(code: DecryptCode, message: string, details?: ErrorDetails) {
    super(code, message, details);
  }
}

/** No such key or ladder, or no key at hand fits the message. `tried` lists what was tried. */
export class KeyNotFoundError extends KeyladderError {
  constructor(code: KeyNotFoundCode, message: string, details?: ErrorDetails) {
    super(code, message, details);
  }
}

/** The key exists but its state or usage forbids the operation. */
export class KeyStateError extends KeyladderError {
  constructor(code: KeyStateCode, message: string, details?: ErrorDetails) {
    super(code, message, details);
  }
}

/** The principal may not do this. */
export class AccessDeniedError extends KeyladderError {
  constructor(code: AccessDeniedCode, message: string, details?: ErrorDetails) {
    super(code, message, details);
  }
}

/** The HSM refused, is away, or could not be opened. */
export class HsmError extends KeyladderError {
  constructor(code: HsmCode, message: string, details?: ErrorDetails) {
    super(code, message, details);
  }
}

/** The store or the file system failed, or what the store holds is not what was put there. */
export class StoreError extends KeyladderError {
  constructor(code: StoreCode, message: string, details?: ErrorDetails) {
    super(code, message, details);
  }
}

/** The bulk engine failed its self-test, is not available, or met a fault of our own. */
export class EngineError extends KeyladderError {
  constructor(code: EngineCode, message: string, details?: ErrorDetails) {
    super(code, message, details);
  }
}

/** A bound set by the caller, by the format or by the cryptography would be passed. */
export class LimitError extends KeyladderError {
  constructor(code: LimitCode, message: string, details?: ErrorDetails) {
    super(code, message, details);
  }
}

/** The one failure of authentication: a wrong key, a bad tag, commitment or signature all read the same. */
export function decryptFailed(): DecryptError {
  return new DecryptError("ERR_DECRYPT", "the message is not authentic, or was sealed under another key or context");
}
