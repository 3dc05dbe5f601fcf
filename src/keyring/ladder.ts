/** The keyring over the ladder: data keys wrapped by a KEK in the HSM, the KEK by a CMK, the CMK by the HMK. */

import { type Bytes, compareBytes, concat } from "../bytes.js";
import { decryptFailed } from "../errors.js";
import type { ResolvedKey } from "../kms/catalog.js";
import type { KekRef } from "../kms/data-keys.js";
import type { Kms } from "../kms/kms.js";
import type { EncryptedDataKey } from "../message/header.js";
import {
  edkAad,
  encodeInfo,
  encodeSealed,
  LADDER_PROVIDER_ID,
  type LadderInfo,
  parseInfo,
  parseSealed,
} from "./ladder-edk.js";
import type { GeneratedDataKey, Keyring, UnwrappedDataKey, Unwrapper, UnwrapRequest, WrapRequest } from "./port.js";

/** Encrypted data keys of ours that are tried in one message; further ones are not looked at (ladder rule 12). */
export const MAX_LADDER_DATA_KEYS = 4;

/**
 * Opens under the ladder. Both methods check who may use the key; `authoriseUnwrap` does only that, without the HSM, so
 * that it can go before a cache of data keys.
 */
export interface LadderUnwrapper extends Unwrapper {
  /**
   * What tells the keys that may open this request, in their present state, from all others; undefined where none of the
   * encrypted data keys is this keyring's.
   * @throws KeyStateError · InputError ERR_INPUT (a required context key is missing) · StoreError
   */
  authoriseUnwrap(request: UnwrapRequest): Promise<Bytes | undefined>;
}

export interface LadderKeyring extends Keyring, LadderUnwrapper {
  /**
   * What tells this key, in its present state and at its present KEK version, from all others.
   * @throws KeyNotFoundError ERR_KEY_NOT_FOUND · KeyStateError · InputError ERR_INPUT · StoreError
   */
  authoriseGenerate(request: WrapRequest): Promise<Bytes>;
}

/** Seals and opens under one key: `key` is a reference as seen from `tenant`. No I/O until it is used. */
export function ladderKeyring(kms: Kms, tenant: string, key: string): LadderKeyring {
  return new OneKey(kms, tenant, key);
}

/** Opens, under any key of `tenant`, and of no other tenant (ladder rule 2). */
export function ladderUnwrapper(kms: Kms, tenant: string): LadderUnwrapper {
  return new AnyKey(kms, tenant);
}

/** An encrypted data key of ours, and the key that may open it. */
interface Candidate {
  readonly key: ResolvedKey;
  readonly info: LadderInfo;
  readonly edk: EncryptedDataKey;
}

abstract class LadderBase implements LadderUnwrapper {
  protected readonly kms: Kms;

  constructor(kms: Kms) {
    this.kms = kms;
  }

  /** The keys behind encrypted data keys of this store: no I/O for those that cannot be this keyring's. */
  protected abstract candidates(found: readonly { info: LadderInfo; edk: EncryptedDataKey }[]): Promise<Candidate[]>;

  async authoriseUnwrap(request: UnwrapRequest): Promise<Bytes | undefined> {
    const allowed = await this.#allowed(request);
    if (allowed.length === 0) return undefined;
    return concat(...allowed.map(({ key }) => key.identity));
  }

  async unwrapDataKey(request: UnwrapRequest): Promise<UnwrappedDataKey | undefined> {
    const allowed = await this.#allowed(request);
    for (const { key, info, edk } of allowed) {
      request.signal?.throwIfAborted();
      const sealed = parseSealed(edk.ciphertext, request.dataKeyBytes);
      if (sealed === undefined) continue;
      const aad = edkAad(request, edk.providerInfo);
      const unwrapped = await this.kms.dataKeys.unwrap(key, info, sealed, aad);
      if (unwrapped !== undefined) return { ...unwrapped, keyId: key.keyId };
    }
    if (allowed.length > 0) throw decryptFailed();
    return undefined;
  }

  /** The candidates that may be used; the reason of the first refusal where there is no other. */
  async #allowed(request: UnwrapRequest): Promise<Candidate[]> {
    const found: { info: LadderInfo; edk: EncryptedDataKey }[] = [];
    for (const edk of request.encryptedDataKeys) {
      const info = parseInfo(this.kms.storeId, edk);
      if (info !== undefined) found.push({ info, edk });
    }
    const candidates = found.length === 0 ? [] : await this.candidates(found);
    const allowed: Candidate[] = [];
    let refusal: unknown;
    for (const candidate of candidates) {
      try {
        this.kms.dataKeys.authorise(candidate.key, "decrypt", request.demandedContext ?? {});
        allowed.push(candidate);
      } catch (error) {
        refusal ??= error;
      }
    }
    if (allowed.length === 0 && refusal !== undefined) throw refusal;
    return allowed;
  }
}

class AnyKey extends LadderBase {
  readonly #tenant: string;

  constructor(kms: Kms, tenant: string) {
    super(kms);
    this.#tenant = tenant;
  }

  protected async candidates(found: readonly { info: LadderInfo; edk: EncryptedDataKey }[]): Promise<Candidate[]> {
    const candidates: Candidate[] = [];
    for (const { info, edk } of found.slice(0, MAX_LADDER_DATA_KEYS)) {
      const key = await this.kms.catalog.find(info.cmkId, this.#tenant);
      if (key !== undefined) candidates.push({ key, info, edk });
    }
    return candidates;
  }
}

class OneKey extends LadderBase implements LadderKeyring {
  readonly #tenant: string;
  readonly #ref: string;

  constructor(kms: Kms, tenant: string, ref: string) {
    super(kms);
    this.#tenant = tenant;
    this.#ref = ref;
  }

  async authoriseGenerate(request: WrapRequest): Promise<Bytes> {
    return (await this.#forSealing(request)).identity;
  }

  async generateDataKey(request: WrapRequest): Promise<GeneratedDataKey> {
    const key = await this.#forSealing(request);
    const { infoOf, aadOf } = this.#binding(key, request);
    const made = await this.kms.dataKeys.generate(key, request.dataKeyBytes, aadOf);
    const edk = toEdk(infoOf(made), made.sealed);
    return { dataKey: made.dataKey, encryptedDataKeys: [edk], keyId: key.keyId, keyVersion: made.keyVersion };
  }

  async wrapDataKey(
    request: WrapRequest & { readonly dataKey: GeneratedDataKey["dataKey"] },
  ): Promise<EncryptedDataKey> {
    const key = await this.#forSealing(request);
    const { infoOf, aadOf } = this.#binding(key, request);
    const wrapped = await this.kms.dataKeys.wrap(key, request.dataKey, aadOf);
    return toEdk(infoOf(wrapped), wrapped.sealed);
  }

  protected async candidates(found: readonly { info: LadderInfo; edk: EncryptedDataKey }[]): Promise<Candidate[]> {
    const key = await this.kms.catalog.resolve(this.#ref, this.#tenant);
    return found
      .filter(({ info }) => compareBytes(info.cmkId, key.id) === 0)
      .slice(0, MAX_LADDER_DATA_KEYS)
      .map(({ info, edk }) => ({ key, info, edk }));
  }

  async #forSealing(request: WrapRequest): Promise<ResolvedKey> {
    request.signal?.throwIfAborted();
    const key = await this.kms.catalog.resolve(this.#ref, this.#tenant);
    this.kms.dataKeys.authorise(key, "encrypt", request.context);
    return key;
  }

  #binding(key: ResolvedKey, request: WrapRequest) {
    const infoOf = (kek: KekRef) => encodeInfo(this.kms.storeId, { cmkId: key.id, ...kek });
    return { infoOf, aadOf: (kek: KekRef) => edkAad(request, infoOf(kek)) };
  }
}

function toEdk(providerInfo: Bytes, sealed: Parameters<typeof encodeSealed>[0]): EncryptedDataKey {
  return { providerId: LADDER_PROVIDER_ID, providerInfo, ciphertext: encodeSealed(sealed) };
}
