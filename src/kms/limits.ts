/** Bounds of the key service. Tests lower them. */

export interface KmsLimits {
  /** Wraps handed to a process at once; a crash wastes what is left of them (ladder, section B). */
  readonly wrapsPerLease: number;
  /** Wraps under one KEK version, random 96-bit IVs: a quarter of SP 800-38D's 2^32. */
  readonly wrapsPerKekVersion: number;
  /** Tries of a change that other writers keep overtaking. */
  readonly commitTries: number;
}

export const KMS_LIMITS: KmsLimits = Object.freeze({
  wrapsPerLease: 2 ** 16,
  wrapsPerKekVersion: 2 ** 30,
  commitTries: 16,
});
