/** The software token's operations. Keys are KeyObjects in this process; raw bytes exist only inside a call, and are wiped. */

import { type KeyObject, randomFillSync, timingSafeEqual } from "node:crypto";
import { label, wipe } from "../../bytes.js";
import { HsmError, InputError } from "../../errors.js";
import { Work } from "../../work.js";
import type {
  CmkLocation,
  HmkRole,
  HsmInfo,
  HsmSession,
  KekPath,
  SealedDataKey,
  SigningAlgorithm,
  WrapFormat,
  WrappedKey,
  WrappedSigningKey,
} from "../port.js";
import { intoKey } from "./file-key.js";
import { cmkName, KeyCache, kekName } from "./key-cache.js";
import { unwrapKey, wrapKey } from "./key-wrap.js";
import { checkBytes, checkCmk, checkObjectId, checkPath, checkSealed, checkSigningKey, refused } from "./requests.js";
import { hmacSha256, hmacVerifies, openDataKey, sealDataKey } from "./secret-key.js";
import { checkAlgorithm, importSigningKey, makeSigningKey, signWith } from "./signing.js";
import { KEY_BYTES } from "./token-contents.js";
import type { LoadedToken, TokenFile } from "./token-file.js";
import { TokenState } from "./token-state.js";

/** The format of every new wrap under this token. */
const WRAP_FORMAT: WrapFormat = "rfc5649";
const MAX_RANDOM_BYTES = 1 << 20;
const CANARY = label("keyladder/hsm-canary/v1");

const WARNINGS: readonly string[] = Object.freeze([
  "This is a software token, not an HSM: its keys are in this process's memory while it is open.",
  "On disk they are one file, sealed under a passphrase or a key file: whoever has both has every key.",
]);

type MacRole = "seal" | "audit";

export class SoftwareSession implements HsmSession {
  readonly #work = new Work(() => new HsmError("ERR_HSM_UNAVAILABLE", "the token is closed"));
  readonly #cache = new KeyCache();
  readonly #token: TokenState;

  constructor(file: TokenFile, loaded: LoadedToken) {
    this.#token = new TokenState(file, loaded, this.#work, () => this.#cache.clear());
  }

  info(): Promise<HsmInfo> {
    return this.#work.run(() => {
      const version = (role: HmkRole) => this.#token.current(role).version;
      return {
        kind: "software",
        label: this.#token.contents.label,
        serial: this.#token.serial,
        hardware: false,
        hmkVersions: {
          wrap: version("wrap"),
          sign: version("sign"),
          seal: version("seal"),
          audit: version("audit"),
        },
        warnings: WARNINGS,
      };
    });
  }

  ping(): Promise<void> {
    return this.#work.run(() => {
      const { key } = this.#token.current("seal");
      if (!timingSafeEqual(hmacSha256(key, CANARY), hmacSha256(key, CANARY))) throw refused("the canary failed");
    });
  }

  random(bytes: number): Promise<Uint8Array> {
    return this.#work.run(() => {
      if (!Number.isInteger(bytes) || bytes < 1 || bytes > MAX_RANDOM_BYTES) {
        throw new InputError("ERR_INPUT", `"bytes" expected an integer from 1 to ${MAX_RANDOM_BYTES}`);
      }
      return randomFillSync(new Uint8Array(bytes));
    });
  }

  mac(request: { role: MacRole; data: Uint8Array }): Promise<{ version: number; tag: Uint8Array }> {
    return this.#work.run(() => {
      const { version, key } = this.#token.current(checkMacRole(request.role));
      return { version, tag: hmacSha256(key, checkBytes(request.data, "data")) };
    });
  }

  verifyMac(request: { role: MacRole; version: number; data: Uint8Array; tag: Uint8Array }): Promise<boolean> {
    return this.#work.run(() => {
      const { key } = this.#token.version(checkMacRole(request.role), request.version);
      return hmacVerifies(key, checkBytes(request.data, "data"), checkBytes(request.tag, "tag"));
    });
  }

  generateCmk(request: { residence: "wrapped" | "resident" }): Promise<CmkLocation> {
    return this.#work.run(async () => {
      if (request.residence === "resident") {
        return { residence: "resident", serial: this.#token.serial, objectId: await this.#token.addResident() };
      }
      if (request.residence !== "wrapped") {
        throw new InputError("ERR_INPUT", '"residence" expected "wrapped" or "resident"');
      }
      const hmk = this.#token.current("wrap");
      const wrapFormat = hmk.wrapFormat ?? WRAP_FORMAT;
      return { residence: "wrapped", hmkVersion: hmk.version, ...wrapFresh(wrapFormat, hmk.key) };
    });
  }

  listResidentCmks(): Promise<Uint8Array[]> {
    return this.#work.run(async () => {
      await this.#token.refresh();
      return [...this.#token.contents.residents.values()].map(({ objectId }) => new Uint8Array(objectId));
    });
  }

  destroyResidentCmk(objectId: Uint8Array): Promise<void> {
    return this.#work.run(() => this.#token.removeResident(checkObjectId(objectId)));
  }

  generateKek(request: { cmk: CmkLocation }): Promise<WrappedKey> {
    return this.#work.run(async () => wrapFresh(WRAP_FORMAT, await this.#cmk(checkCmk(request.cmk))));
  }

  rewrapKek(request: { from: KekPath; to: CmkLocation }): Promise<WrappedKey> {
    return this.#work.run(async () => {
      // The CMKs may come from the cache; the KEK, readable inside this call, never goes there (ladder rule 8).
      const from = checkPath(request.from);
      const source = await this.#cmk(from.cmk);
      const target = await this.#cmk(checkCmk(request.to));
      const kek = unwrap32(from.kek, source);
      try {
        return { wrapFormat: WRAP_FORMAT, blob: wrapKey(WRAP_FORMAT, target, kek) };
      } finally {
        wipe(kek);
      }
    });
  }

  generateDataKey(request: {
    path: KekPath;
    bytes: 16 | 24 | 32;
    aad: Uint8Array;
  }): Promise<SealedDataKey & { dataKey: Uint8Array }> {
    return this.#work.run(async () => {
      const aad = checkBytes(request.aad, "aad");
      if (![16, 24, 32].includes(request.bytes)) throw new InputError("ERR_INPUT", '"bytes" expected 16, 24 or 32');
      const dataKey = new Uint8Array(request.bytes);
      const kek = await this.#kek(checkPath(request.path));
      randomFillSync(dataKey);
      return { ...sealDataKey(kek, dataKey, aad), dataKey };
    });
  }

  wrapDataKey(request: { path: KekPath; dataKey: Uint8Array; aad: Uint8Array }): Promise<SealedDataKey> {
    return this.#work.run(async () => {
      const aad = checkBytes(request.aad, "aad");
      const dataKey = checkBytes(request.dataKey, "dataKey", 16, 24, 32);
      return sealDataKey(await this.#kek(checkPath(request.path)), dataKey, aad);
    });
  }

  unwrapDataKey(request: { path: KekPath; sealed: SealedDataKey; aad: Uint8Array }): Promise<Uint8Array | undefined> {
    return this.#work.run(async () => {
      const aad = checkBytes(request.aad, "aad");
      const sealed = checkSealed(request.sealed);
      return openDataKey(await this.#kek(checkPath(request.path)), sealed, aad);
    });
  }

  generateSigningKey(request: {
    algorithm: SigningAlgorithm;
  }): Promise<{ key: WrappedSigningKey; publicKey: Uint8Array }> {
    return this.#work.run(async () => {
      const { privateKey, publicKey } = await makeSigningKey(request.algorithm);
      return { key: this.#wrapForSigning(privateKey), publicKey };
    });
  }

  sign(request: { algorithm: SigningAlgorithm; key: WrappedSigningKey; data: Uint8Array }): Promise<Uint8Array> {
    return this.#work.run(() => {
      checkAlgorithm(request.algorithm);
      const data = checkBytes(request.data, "data");
      const key = importSigningKey(request.algorithm, this.#unwrapForSigning(request.key));
      if (key === undefined) throw doesNotUnwrap();
      return signWith(request.algorithm, key, data);
    });
  }

  generateMacKey(): Promise<WrappedSigningKey> {
    return this.#work.run(() => this.#wrapForSigning(randomFillSync(new Uint8Array(KEY_BYTES))));
  }

  macWithKey(request: { key: WrappedSigningKey; data: Uint8Array }): Promise<Uint8Array> {
    return this.#work.run(() => hmacSha256(this.#macKey(request.key), checkBytes(request.data, "data")));
  }

  verifyMacWithKey(request: { key: WrappedSigningKey; data: Uint8Array; tag: Uint8Array }): Promise<boolean> {
    return this.#work.run(() => {
      const tag = checkBytes(request.tag, "tag");
      return hmacVerifies(this.#macKey(request.key), checkBytes(request.data, "data"), tag);
    });
  }

  close(): Promise<void> {
    return this.#work.close(() => {
      this.#cache.clear();
      this.#token.forget();
    });
  }

  /** `cmk` was copied on entry. A resident one is looked up each time, so that one destroyed elsewhere is gone here too. */
  async #cmk(cmk: CmkLocation): Promise<KeyObject> {
    if (cmk.residence === "resident") return this.#token.resident(cmk.serial, cmk.objectId);
    return this.#cache.obtain(cmkName(cmk), () => {
      const hmk = this.#token.version("wrap", cmk.hmkVersion);
      if (hmk.wrapFormat !== cmk.wrapFormat) throw doesNotUnwrap();
      return intoKey(unwrap32(cmk, hmk.key));
    });
  }

  async #kek(path: KekPath): Promise<KeyObject> {
    const cmk = await this.#cmk(path.cmk);
    return this.#cache.obtain(kekName(path), () => intoKey(unwrap32(path.kek, cmk)));
  }

  /** Takes `secret` over and wipes it. */
  #wrapForSigning(secret: Uint8Array): WrappedSigningKey {
    const hmk = this.#token.current("sign");
    try {
      // Private keys have any length: only RFC 5649 carries them.
      return { hmkVersion: hmk.version, wrapFormat: "rfc5649", blob: wrapKey("rfc5649", hmk.key, secret) };
    } finally {
      wipe(secret);
    }
  }

  /** The caller wipes what returns. */
  #unwrapForSigning(key: WrappedSigningKey): Uint8Array {
    const { hmkVersion, wrapFormat, blob } = checkSigningKey(key);
    const hmk = this.#token.version("sign", hmkVersion);
    const secret = hmk.wrapFormat === wrapFormat ? unwrapKey(wrapFormat, hmk.key, blob) : undefined;
    if (secret === undefined) throw doesNotUnwrap();
    return secret;
  }

  #macKey(key: WrappedSigningKey): KeyObject {
    return intoKey(exactly32(this.#unwrapForSigning(key)));
  }
}

function checkMacRole(role: MacRole): MacRole {
  if (role !== "seal" && role !== "audit") throw new InputError("ERR_INPUT", '"role" expected "seal" or "audit"');
  return role;
}

/** A fresh AES-256 key under `wrapping`: raw only inside this call. */
function wrapFresh(wrapFormat: WrapFormat, wrapping: KeyObject): WrappedKey {
  const raw = randomFillSync(new Uint8Array(KEY_BYTES));
  try {
    return { wrapFormat, blob: wrapKey(wrapFormat, wrapping, raw) };
  } finally {
    wipe(raw);
  }
}

/** The caller wipes what returns. @throws HsmError ERR_HSM_REFUSED */
function unwrap32({ wrapFormat, blob }: WrappedKey, wrapping: KeyObject): Uint8Array {
  const raw = unwrapKey(wrapFormat, wrapping, blob);
  if (raw === undefined) throw doesNotUnwrap();
  return exactly32(raw);
}

/** Whatever unwrapped to another length is a key of another kind. */
function exactly32(raw: Uint8Array): Uint8Array {
  if (raw.length === KEY_BYTES) return raw;
  wipe(raw);
  throw doesNotUnwrap();
}

function doesNotUnwrap(): HsmError {
  return refused("the wrapped key does not unwrap: it was changed, or belongs to another key or token");
}
