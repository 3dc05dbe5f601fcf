/**
 * The seal of a record: an HMAC made in the HSM over the digest of its exact bytes.
 *
 *     seal = alg u8 (01 HMAC-SHA-256) | macKeyVersion u32 | tag 32
 *     tag  = HMAC(HMK-SEAL[v], L("keyladder/record-seal/v1") | alg | v | SHA-512(body))
 */

import { type Bytes, concat, label, readU32, toBase64, u32 } from "../bytes.js";
import { HsmError, KeyladderError } from "../errors.js";
import type { HsmSession } from "../hsm/port.js";
import { sha512 } from "./ids.js";

const HMAC_SHA256 = 1;
const TAG_BYTES = 32;
const SEAL_BYTES = 1 + 4 + TAG_BYTES;
/** Verdicts kept: at about 200 bytes each, under 4 MB. */
const MAX_VERDICTS = 16_384;
/** The sealing key may be renewed between the question for its version and its use. */
const TRIES = 3;

const LABEL = label("keyladder/record-seal/v1");

function sealInput(version: number, digest: Uint8Array): Bytes {
  return concat(LABEL, Uint8Array.of(HMAC_SHA256), u32(version), digest);
}

/** Seals and verifies; remembers what verified, so that a slow HSM costs one round trip for each distinct record. */
export class Sealer {
  readonly #hsm: HsmSession;
  /** Digests of (seal, body) that verified, oldest use first. */
  readonly #verified = new Set<string>();
  #version: number | undefined;

  constructor(hsm: HsmSession) {
    this.#hsm = hsm;
  }

  /** 37 bytes. @throws HsmError */
  async seal(body: Uint8Array): Promise<Bytes> {
    const digest = sha512(body);
    this.#version ??= (await this.#hsm.info()).hmkVersions.seal;
    for (let tries = 0; tries < TRIES; tries++) {
      const asked = this.#version;
      const { version, tag } = await this.#hsm.mac({ role: "seal", data: sealInput(asked, digest) });
      this.#version = version;
      if (version !== asked) continue;
      const seal = concat(Uint8Array.of(HMAC_SHA256), u32(version), tag);
      this.#remember(verdictKey(seal, digest));
      return seal;
    }
    throw new HsmError("ERR_HSM_UNAVAILABLE", "the sealing key keeps changing", { retryable: true });
  }

  /** True where `seal` is this HSM's over exactly `body`. @throws HsmError where the HSM is away */
  async verify(body: Uint8Array, seal: Uint8Array): Promise<boolean> {
    if (seal.length !== SEAL_BYTES || seal[0] !== HMAC_SHA256) return false;
    const digest = sha512(body);
    const key = verdictKey(seal, digest);
    if (this.#verified.has(key)) {
      this.#remember(key);
      return true;
    }
    const version = readU32(seal, 1);
    try {
      const data = sealInput(version, digest);
      const genuine = await this.#hsm.verifyMac({ role: "seal", version, data, tag: seal.slice(5) });
      if (genuine) this.#remember(key);
      return genuine;
    } catch (error) {
      // A version this HSM never had: the seal is not its own.
      if (KeyladderError.is(error, "ERR_HSM_REFUSED")) return false;
      throw error;
    }
  }

  #remember(key: string): void {
    this.#verified.delete(key);
    this.#verified.add(key);
    if (this.#verified.size <= MAX_VERDICTS) return;
    for (const oldest of this.#verified) {
      this.#verified.delete(oldest);
      return;
    }
  }
}

function verdictKey(seal: Uint8Array, digest: Uint8Array): string {
  return toBase64(sha512(seal, digest));
}
