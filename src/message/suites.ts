/** The eleven algorithm suites of the AWS Encryption SDK message format (esdk specification, "algorithm suites"). */

import { FormatError } from "../errors.js";

export type SuiteId = 0x0478 | 0x0578 | 0x0014 | 0x0046 | 0x0078 | 0x0114 | 0x0146 | 0x0178 | 0x0214 | 0x0346 | 0x0378;

/** The suites this package writes. The others are read only. */
export type WritableSuiteId = 0x0478 | 0x0578;

export type HashName = "sha256" | "sha384" | "sha512";
export type CurveName = "p256" | "p384";

/** What a suite fixes. All: AES-GCM, 12-byte nonce, 16-byte tag. */
export interface Suite {
  readonly id: SuiteId;
  readonly name: string;
  /** The message format version that carries it. */
  readonly messageVersion: 1 | 2;
  readonly dataKeyBytes: 16 | 24 | 32;
  /** HKDF hash; undefined where the data key itself encrypts. */
  readonly kdf: HashName | undefined;
  /** The header carries a 32-byte commitment to the data key. */
  readonly committing: boolean;
  /** The message ends in an ECDSA signature, hashed with SHA-256 (P-256) or SHA-384 (P-384). */
  readonly signature: CurveName | undefined;
}

function suite(
  id: SuiteId,
  name: string,
  dataKeyBytes: 16 | 24 | 32,
  kdf?: HashName,
  signature?: CurveName,
): readonly [SuiteId, Suite] {
  const committing = id >= 0x0400;
  return [
    id,
    Object.freeze({ id, name, messageVersion: committing ? 2 : 1, dataKeyBytes, kdf, committing, signature }),
  ];
}

const SUITES: ReadonlyMap<number, Suite> = new Map<number, Suite>([
  suite(0x0014, "AES_128_GCM_IV12_TAG16_NO_KDF", 16),
  suite(0x0046, "AES_192_GCM_IV12_TAG16_NO_KDF", 24),
  suite(0x0078, "AES_256_GCM_IV12_TAG16_NO_KDF", 32),
  suite(0x0114, "AES_128_GCM_IV12_TAG16_HKDF_SHA256", 16, "sha256"),
  suite(0x0146, "AES_192_GCM_IV12_TAG16_HKDF_SHA256", 24, "sha256"),
  suite(0x0178, "AES_256_GCM_IV12_TAG16_HKDF_SHA256", 32, "sha256"),
  suite(0x0214, "AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256", 16, "sha256", "p256"),
  suite(0x0346, "AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384", 24, "sha384", "p384"),
  suite(0x0378, "AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384", 32, "sha384", "p384"),
  suite(0x0478, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY", 32, "sha512"),
  suite(0x0578, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384", 32, "sha512", "p384"),
]);

/** Every suite, in ascending order of id. */
export const ALL_SUITES: readonly Suite[] = [...SUITES.values()];

/** The suite of that number. @throws FormatError ERR_FORMAT */
export function suiteOf(id: number, offset?: number): Suite {
  const found = SUITES.get(id);
  if (found === undefined) {
    const shown = `0x${id.toString(16).padStart(4, "0")}`;
    throw new FormatError("ERR_FORMAT", `unknown algorithm suite ${shown}`, offset === undefined ? {} : { offset });
  }
  return found;
}
