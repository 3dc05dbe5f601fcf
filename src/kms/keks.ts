/**
 * KEKs: lines of versions under a CMK. The next version of a line is always made ahead and durable before it becomes
 * active, when the wraps of the current one are used up (ladder, section B).
 */

import { compareBytes } from "../bytes.js";
import { EngineError } from "../errors.js";
import type { CmkLocation, KekPath, WrappedKey } from "../hsm/port.js";
import { type Catalog, idText, type ResolvedKey } from "./catalog.js";
import { type KmsCore, retryConflicts } from "./core.js";
import { KEY_VERSION, LEASE, type VersionValues } from "./fields.js";
import { STORE_WIDE, versionId } from "./ids.js";
import { newRecord, nextRevision, tampered, type VaultRecord } from "./vault.js";

/** A version of a KEK, and the way down to it. */
export interface Kek {
  readonly path: KekPath;
  readonly record: VaultRecord<VersionValues>;
  /** The CMK version it was made under. */
  readonly originVersion: number;
}

/** A CMK version that new KEKs are made under. */
export interface CmkVersion {
  readonly id: Uint8Array;
  readonly tenantId: Uint8Array;
  readonly version: number;
  readonly location: CmkLocation;
}

/** The record of version `version` of a CMK. */
export function cmkRecord(cmk: CmkVersion, now: number): VaultRecord<VersionValues> {
  const { location } = cmk;
  return newRecord(KEY_VERSION, cmk.tenantId, versionId(cmk.id, cmk.version), {
    keyId: cmk.id,
    version: cmk.version,
    rung: "cmk",
    algorithm: "aes-256",
    usage: "wrap",
    parentId: STORE_WIDE,
    parentVersion: location.residence === "wrapped" ? location.hmkVersion : 0,
    ...(location.residence === "wrapped"
      ? { wrapFormat: location.wrapFormat, blob: location.blob }
      : { residentSerial: location.serial, residentObjectId: location.objectId }),
    origin: "hsm",
    exportable: false,
    state: "active",
    createdAt: now,
    activatedAt: now,
  });
}

/** The record of version `version` of a CMK, verified to be that. @throws StoreError ERR_STORE_TAMPERED */
export async function loadCmk(
  core: KmsCore,
  tenantId: Uint8Array,
  id: Uint8Array,
  version: number,
): Promise<CmkVersion & { readonly record: VaultRecord<VersionValues> }> {
  const record = await core.vault.demand(KEY_VERSION, tenantId, versionId(id, version));
  const { values } = record;
  const genuine = values.rung === "cmk" && values.version === version && compareBytes(values.keyId, id) === 0;
  if (!genuine) throw tampered("a key version record in the place of another");
  return { id, tenantId, version, location: locationOf(values), record };
}

function locationOf(values: VersionValues): CmkLocation {
  const { wrapFormat, blob, residentSerial, residentObjectId } = values;
  if (wrapFormat !== undefined && blob !== undefined) {
    return { residence: "wrapped", hmkVersion: values.parentVersion, wrapFormat, blob };
  }
  if (residentSerial !== undefined && residentObjectId !== undefined) {
    return { residence: "resident", serial: residentSerial, objectId: residentObjectId };
  }
  throw tampered("a CMK version that is nowhere");
}

/** Records of one new KEK version and of its lease. */
async function newVersion(
  core: KmsCore,
  cmk: CmkVersion,
  kekId: Uint8Array,
  version: number,
  state: "active" | "pre-active",
): Promise<VaultRecord<unknown>[]> {
  const { wrapFormat, blob } = await core.hsm.generateKek({ cmk: cmk.location });
  const now = core.now();
  const recordId = versionId(kekId, version);
  const kek = newRecord(KEY_VERSION, cmk.tenantId, recordId, {
    keyId: kekId,
    version,
    rung: "kek",
    algorithm: "aes-256",
    usage: "encrypt",
    parentId: cmk.id,
    parentVersion: cmk.version,
    wrapFormat,
    blob,
    origin: "hsm",
    exportable: false,
    state,
    createdAt: now,
    ...(state === "active" ? { activatedAt: now } : {}),
    originVersion: cmk.version,
  });
  const lease = newRecord(LEASE, cmk.tenantId, recordId, { lineId: kekId, version, leased: 0, createdAt: now });
  return [kek, lease];
}

/** How many versions a line has from its start: the active one, and the next. */
export const VERSIONS_OF_A_NEW_LINE = 2;

/** A new KEK under `cmk`: version 1 active, version 2 made ahead. */
export async function newKekLine(core: KmsCore, cmk: CmkVersion, kekId: Uint8Array): Promise<VaultRecord<unknown>[]> {
  const first = await newVersion(core, cmk, kekId, 1, "active");
  const second = await newVersion(core, cmk, kekId, 2, "pre-active");
  return [...first, ...second];
}

/** Every KEK version of a key. */
export function kekVersions(key: ResolvedKey): { kekId: Uint8Array; version: number }[] {
  return key.record.values.keks.flatMap(({ kekId, versions }) =>
    Array.from({ length: versions }, (_, i) => ({ kekId, version: i + 1 })),
  );
}

/**
 * A KEK version of a key; undefined where the key has no such KEK.
 * @throws StoreError ERR_STORE_TAMPERED, also for one wrapped by another version of the CMK than the newest
 */
export async function loadKek(
  core: KmsCore,
  key: ResolvedKey,
  kekId: Uint8Array,
  version: number,
): Promise<Kek | undefined> {
  const { keks, currentVersion } = key.record.values;
  const line = keks.find((one) => compareBytes(one.kekId, kekId) === 0);
  if (line === undefined || version < 1 || version > line.versions) return undefined;
  return core.memory.remember(`kek ${key.keyId} ${idText(kekId, version)}`, async () => {
    const record = await core.vault.demand(KEY_VERSION, key.tenantId, versionId(kekId, version));
    const { rung, keyId, parentId, parentVersion, originVersion, state, ...values } = record.values;
    const genuine =
      rung === "kek" &&
      values.version === version &&
      compareBytes(keyId, kekId) === 0 &&
      compareBytes(parentId, key.id) === 0 &&
      originVersion !== undefined;
    if (!genuine) throw tampered("a KEK record in the place of another");
    if (parentVersion !== currentVersion) throw tampered("a KEK wrapped by another version of its CMK than the newest");
    const { location } = await loadCmk(core, key.tenantId, key.id, currentVersion);
    return { record, originVersion, path: { cmk: location, kek: wrappedKey(record.values) } };
  });
}

function wrappedKey({ wrapFormat, blob }: VersionValues): WrappedKey {
  if (wrapFormat === undefined || blob === undefined) throw tampered("a KEK without its blob");
  return { wrapFormat, blob };
}

/** The KEK that wraps new data keys. @throws StoreError ERR_STORE_TAMPERED where it is not active */
export async function activeKek(core: KmsCore, key: ResolvedKey): Promise<Kek> {
  const { kekId, kekVersion } = key.record.values;
  const kek = await loadKek(core, key, kekId, kekVersion);
  if (kek?.record.values.state !== "active") throw tampered("a key whose KEK is not active");
  return kek;
}

/** Makes the next version of the active KEK active, and one more ahead. Does nothing where that was done meanwhile. */
export async function advanceKek(core: KmsCore, catalog: Catalog, key: ResolvedKey): Promise<void> {
  const { kekId, kekVersion } = key.record.values;
  await retryConflicts(core.limits.commitTries, () =>
    core.memory.consistently(async () => {
      const fresh = await catalog.find(key.id, key.tenant);
      const values = fresh?.record.values;
      if (fresh === undefined || values === undefined) throw tampered("no key record where there was one");
      if (values.kekVersion !== kekVersion || compareBytes(values.kekId, kekId) !== 0) return;

      const used = await activeKek(core, fresh);
      const next = await loadKek(core, fresh, kekId, kekVersion + 1);
      if (next === undefined) throw new EngineError("ERR_INTERNAL", "no KEK version was made ahead");
      const cmk = await loadCmk(core, fresh.tenantId, fresh.id, values.currentVersion);
      const now = core.now();
      await core.vault.commit([
        nextRevision(fresh.record, {
          kekVersion: kekVersion + 1,
          keks: values.keks.map((line) =>
            compareBytes(line.kekId, kekId) === 0 ? { kekId, versions: kekVersion + 2 } : line,
          ),
        }),
        nextRevision(used.record, { state: "deactivated", originatorEnd: now }),
        nextRevision(next.record, { state: "active", activatedAt: now }),
        ...(await newVersion(core, cmk, kekId, kekVersion + 2, "pre-active")),
      ]);
    }),
  );
}

/** Every KEK of a key under another version of its CMK; the active one stops wrapping new data keys. */
export async function rewrapKeks(
  core: KmsCore,
  key: ResolvedKey,
  to: CmkVersion,
): Promise<VaultRecord<VersionValues>[]> {
  const records: VaultRecord<VersionValues>[] = [];
  const now = core.now();
  for (const { kekId, version } of kekVersions(key)) {
    const kek = await loadKek(core, key, kekId, version);
    if (kek === undefined) throw new EngineError("ERR_INTERNAL", "a listed KEK was not found");
    const wrapped = await core.hsm.rewrapKek({ from: kek.path, to: to.location });
    const retired = kek.record.values.state === "active" ? { state: "deactivated" as const, originatorEnd: now } : {};
    records.push(nextRevision(kek.record, { ...wrapped, parentVersion: to.version, ...retired }));
  }
  return records;
}
