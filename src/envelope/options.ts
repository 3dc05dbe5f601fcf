/** What every envelope verb takes, checked once on entry. */

import { DecryptError, FormatError, InputError } from "../errors.js";
import { checkKeyring } from "../keyring/multi.js";
import type { Keyring, Unwrapper } from "../keyring/port.js";
import type { EncryptionContext } from "../message/context.js";
import { DEFAULT_FRAME_BYTES, DEFAULT_MAX_DATA_KEYS, MAX_DATA_KEYS, MAX_FRAME_BYTES } from "../message/limits.js";
import { type Suite, suiteOf, type WritableSuiteId } from "../message/suites.js";

/** The AWS Encryption SDK's policies: whether suites without key commitment are written and read. */
export type CommitmentPolicy =
  | "REQUIRE_ENCRYPT_REQUIRE_DECRYPT"
  | "REQUIRE_ENCRYPT_ALLOW_DECRYPT"
  | "FORBID_ENCRYPT_ALLOW_DECRYPT";

export interface CommonOptions {
  /**
   * Sealing: bound to the message and stored IN CLEAR in its header. Opening: a demand, each pair must be bound to the
   * message; pairs not given are returned, unchecked.
   */
  readonly context?: EncryptionContext;
  /** Sealing: names in `context` to bind without storing. Opening: names that `context` must hold. */
  readonly requiredContext?: readonly string[];
  /** Default REQUIRE_ENCRYPT_REQUIRE_DECRYPT. */
  readonly commitmentPolicy?: CommitmentPolicy;
  /** Most encrypted data keys a message may carry. Default 64. */
  readonly maxEncryptedDataKeys?: number;
  readonly signal?: AbortSignal;
}

export interface EncryptOptions extends CommonOptions {
  readonly keyring: Keyring;
  /** 0x0478 (default) or 0x0578, which adds an ECDSA P-384 signature by a key made for the message. */
  readonly suite?: WritableSuiteId;
  /** Plaintext bytes in each frame, 1 to 2^32 - 1. Default 4096. */
  readonly frameBytes?: number;
  /** An upper bound, enforced, and for streams what lets a cache count. */
  readonly plaintextBytes?: number;
  /**
   * `encrypt` alone. Receives the message: the result is its subarray, and large messages cost no fresh memory. Disjoint
   * from the plaintext; zeroed on failure.
   */
  readonly out?: Uint8Array;
}

export interface DecryptOptions extends CommonOptions {
  readonly keyring: Unwrapper;
  /** Receives the plaintext: the result is its subarray. In place only at the same start; zeroed on failure. */
  readonly out?: Uint8Array;
  /** Refuse to release more than this. */
  readonly maxPlaintextBytes?: number;
  /**
   * Signed suites. "refuse" refuses them. "verify-at-end": a stream releases verified frames before the signature is
   * seen, and errors at the end where it does not verify. Default: streams refuse; what returns whole verifies first.
   */
  readonly signed?: "verify-at-end" | "refuse";
}

const POLICIES: readonly CommitmentPolicy[] = [
  "REQUIRE_ENCRYPT_REQUIRE_DECRYPT",
  "REQUIRE_ENCRYPT_ALLOW_DECRYPT",
  "FORBID_ENCRYPT_ALLOW_DECRYPT",
];

function checkPolicy(policy: CommitmentPolicy | undefined): CommitmentPolicy {
  if (policy === undefined) return "REQUIRE_ENCRYPT_REQUIRE_DECRYPT";
  if (POLICIES.includes(policy)) return policy;
  throw new InputError("ERR_INPUT", `"commitmentPolicy" expected one of ${POLICIES.join(", ")}`);
}

/** A whole number in a range, or the fallback. @throws InputError ERR_INPUT */
export function wholeNumber(value: unknown, name: string, least: number, most: number, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new InputError("ERR_INPUT", `"${name}" expected a whole number from ${least} to ${most}`);
}

export function checkMaxDataKeys(options: CommonOptions): number {
  return wholeNumber(options.maxEncryptedDataKeys, "maxEncryptedDataKeys", 1, MAX_DATA_KEYS, DEFAULT_MAX_DATA_KEYS);
}

/** Before the options are copied. A mistyped name must not drop a demand. @throws InputError ERR_INPUT */
export function checkOptions(options: unknown, known: ReadonlySet<string>, further: readonly string[] = []): void {
  if (typeof options !== "object" || options === null) throw new InputError("ERR_INPUT", "expected an options object");
  for (const name of Object.keys(options)) {
    if (!known.has(name) && !further.includes(name)) throw new InputError("ERR_INPUT", `unknown option "${name}"`);
  }
}

const COMMON = ["keyring", "context", "requiredContext", "commitmentPolicy", "maxEncryptedDataKeys", "signal"];
export const ENCRYPT_OPTIONS: ReadonlySet<string> = new Set([
  ...COMMON,
  "suite",
  "frameBytes",
  "plaintextBytes",
  "out",
]);
export const DECRYPT_OPTIONS: ReadonlySet<string> = new Set([...COMMON, "out", "maxPlaintextBytes", "signed"]);

/** @throws InputError ERR_INPUT */
function checkSignal(signal: unknown): void {
  if (signal === undefined || typeof (signal as AbortSignal | null)?.throwIfAborted === "function") return;
  throw new InputError("ERR_INPUT", '"signal" expected an AbortSignal');
}

/** The suite and frame length to write. @throws InputError ERR_INPUT · DecryptError ERR_COMMITMENT_POLICY */
export function checkEncryptOptions(options: EncryptOptions): {
  suite: Suite;
  frameBytes: number;
  maxDataKeys: number;
} {
  checkKeyring(options.keyring);
  checkSignal(options.signal);
  const id = options.suite ?? 0x0478;
  if (id !== 0x0478 && id !== 0x0578) {
    throw new InputError("ERR_INPUT", '"suite" expected 0x0478 or 0x0578: other suites are read only');
  }
  if (checkPolicy(options.commitmentPolicy) === "FORBID_ENCRYPT_ALLOW_DECRYPT") {
    const why = "every suite that is written commits to its key";
    throw new DecryptError("ERR_COMMITMENT_POLICY", `FORBID_ENCRYPT_ALLOW_DECRYPT cannot encrypt: ${why}`);
  }
  return {
    suite: suiteOf(id),
    frameBytes: wholeNumber(options.frameBytes, "frameBytes", 1, MAX_FRAME_BYTES, DEFAULT_FRAME_BYTES),
    maxDataKeys: checkMaxDataKeys(options),
  };
}

/** @throws InputError ERR_INPUT */
export function checkDecryptOptions(options: DecryptOptions): void {
  if (typeof (options.keyring as Partial<Unwrapper> | undefined)?.unwrapDataKey !== "function") {
    throw new InputError("ERR_INPUT", '"keyring" expected a keyring that can unwrap data keys');
  }
  if (options.signed !== undefined && options.signed !== "verify-at-end" && options.signed !== "refuse") {
    throw new InputError("ERR_INPUT", '"signed" expected "verify-at-end" or "refuse"');
  }
  checkSignal(options.signal);
  checkPolicy(options.commitmentPolicy);
  checkMaxDataKeys(options);
  maxPlaintext(options);
}

/** The bound on what may be released. */
export function maxPlaintext(options: DecryptOptions): number {
  const most = Number.MAX_SAFE_INTEGER;
  return wholeNumber(options.maxPlaintextBytes, "maxPlaintextBytes", 0, most, most);
}

/** @throws DecryptError ERR_COMMITMENT_POLICY where the strict policy meets a suite without commitment */
export function enforceCommitment(suite: Suite, options: CommonOptions): void {
  if (suite.committing || checkPolicy(options.commitmentPolicy) !== "REQUIRE_ENCRYPT_REQUIRE_DECRYPT") return;
  throw new DecryptError(
    "ERR_COMMITMENT_POLICY",
    `suite ${suite.name} has no key commitment, and the commitment policy requires it`,
  );
}

/** A whole message or a prefix of one. @throws FormatError ERR_LOOKS_LIKE_BASE64 · InputError ERR_INPUT */
export function checkMessage(message: unknown): Uint8Array {
  if (message instanceof Uint8Array) return message;
  if (typeof message === "string" && /^A[Yg]/.test(message)) {
    const hint = "decode it first: Buffer.from(text, 'base64')";
    throw new FormatError("ERR_LOOKS_LIKE_BASE64", `the message looks like base64 text: ${hint}`, { offset: 0 });
  }
  throw new InputError("ERR_INPUT", '"message" expected a Uint8Array');
}
