/** Making and rotating keys: HSM first, then one commit of all records; what a failed commit leaves in the HSM is removed. */

import { compareBytes } from "../bytes.js";
import { KeyStateError } from "../errors.js";
import type { CmkLocation } from "../hsm/port.js";
import type { Catalog, ResolvedKey } from "./catalog.js";
import { type KmsCore, retryConflicts } from "./core.js";
import { ALIAS, type AliasValues, KEY, KEY_VERSION, type KeyValues, TENANT } from "./fields.js";
import { keyIdText, nameId, STORE_WIDE, tenantIdOf, versionId } from "./ids.js";
import { type CmkVersion, cmkRecord, loadCmk, newKekLine, rewrapKeks, VERSIONS_OF_A_NEW_LINE } from "./keks.js";
import type { parseCreateKey } from "./options.js";
import { ID_BYTES, RECORD_TYPES } from "./record.js";
import { keyStateAt } from "./state.js";
import { newRecord, nextRevision, tampered, type VaultRecord } from "./vault.js";

type CreateOptions = ReturnType<typeof parseCreateKey>;

/**
 * Makes a key: CMK version 1, a KEK, its alias, its tenant where there is none.
 * @throws KeyStateError ERR_KEY_EXISTS where the alias is taken and `ifExists` is not "return"
 */
export async function createKey(
  core: KmsCore,
  catalog: Catalog,
  options: CreateOptions,
  ownTenant: string,
): Promise<ResolvedKey> {
  const tenant = options.tenant ?? ownTenant;
  return retryConflicts(core.limits.commitTries, async () => {
    const tenantId = tenantIdOf(core.vault.storeId, tenant);
    // Read once: the commit expects the alias to be still as it was when it was found free.
    const alias = options.alias === undefined ? undefined : await catalog.alias(tenantId, options.alias);
    if (alias?.values.keyId !== undefined) return takenKey(catalog, options, alias.values.keyId, tenant);
    const id = await core.hsm.random(ID_BYTES);
    await withNewCmk(core, { id, tenantId, version: 1 }, options.protection ?? "wrapped", async (cmk) => {
      const records = await keyRecords(core, cmk, options);
      records.push(...(await tenantRecord(core, catalog, tenant, tenantId)));
      if (options.alias !== undefined) records.push(aliasRecord(core, tenantId, options.alias, alias, id));
      await core.vault.commit(records);
    });
    core.changed({ keyId: keyIdText(id), what: "created" });
    const created = await catalog.find(id, tenant);
    if (created === undefined) throw tampered("no key record where one was just written");
    return created;
  });
}

/** The key that has the alias, where that will do. */
async function takenKey(
  catalog: Catalog,
  { alias, ifExists }: CreateOptions,
  id: Uint8Array,
  tenant: string,
): Promise<ResolvedKey> {
  if (ifExists !== "return") {
    throw new KeyStateError("ERR_KEY_EXISTS", `a key "${alias}" exists already`, { keyId: keyIdText(id) });
  }
  const key = await catalog.find(id, tenant);
  if (key === undefined) throw tampered("an alias of a key that is gone");
  return key;
}

async function keyRecords(core: KmsCore, cmk: CmkVersion, options: CreateOptions): Promise<VaultRecord<unknown>[]> {
  const now = core.now();
  const kekId = await core.hsm.random(ID_BYTES);
  const { owner, description, tags, rotationMs, activatesAt, expiresAt, contextKeys } = options;
  const values: KeyValues = {
    usage: "encrypt",
    algorithm: "aes-256",
    protection: cmk.location.residence,
    origin: "hsm",
    managedBy: options.managedBy ?? "customer",
    exportable: false,
    issuer: `${core.token.kind}:${core.token.serial}`,
    ...(owner === undefined ? {} : { owner }),
    ...(description === undefined ? {} : { description }),
    ...(tags === undefined ? {} : { tags }),
    ...(rotationMs === undefined ? {} : { rotationPeriod: rotationMs }),
    createdAt: now,
    ...(activatesAt === undefined ? {} : { activatesAt: activatesAt.getTime() }),
    ...(expiresAt == null ? {} : { expiresAt: expiresAt.getTime() }),
    ...(contextKeys === undefined ? {} : { contextKeys: [...new Set(contextKeys)] }),
    state: "active",
    stateChangedAt: now,
    currentVersion: 1,
    rotatedAt: now,
    kekId,
    kekVersion: 1,
    keks: [{ kekId, versions: VERSIONS_OF_A_NEW_LINE }],
  };
  return [newRecord(KEY, cmk.tenantId, cmk.id, values), cmkRecord(cmk, now), ...(await newKekLine(core, cmk, kekId))];
}

async function tenantRecord(
  core: KmsCore,
  catalog: Catalog,
  name: string,
  tenantId: Uint8Array,
): Promise<VaultRecord<unknown>[]> {
  if ((await catalog.tenantId(name)) !== undefined) return [];
  return [newRecord(TENANT, STORE_WIDE, tenantId, { name, createdAt: core.now() })];
}

/** The alias for `keyId`, or for none: new, or the successor of what there was `before`. */
export function aliasRecord(
  core: KmsCore,
  tenantId: Uint8Array,
  name: string,
  before: VaultRecord<AliasValues> | undefined,
  keyId: Uint8Array | undefined,
): VaultRecord<unknown> {
  if (before !== undefined) return nextRevision(before, { keyId });
  const values = { name, createdAt: core.now(), ...(keyId === undefined ? {} : { keyId }) };
  return newRecord(ALIAS, tenantId, nameId(core.vault.storeId, tenantId, RECORD_TYPES.alias, name), values);
}

/** Whether a key's rotation period is over. A key that is not active is left alone. */
export function rotationIsDue(values: KeyValues, now: number): boolean {
  const { rotationPeriod, rotatedAt } = values;
  return rotationPeriod !== undefined && now >= rotatedAt + rotationPeriod && keyStateAt(values, now) === "active";
}

/**
 * A new version of a key: every KEK under a new CMK, a new KEK for new messages. No message is touched.
 * @param when "due" leaves a key alone that is not due, also where another process has just rotated it
 * @returns the key, or undefined where it was left alone
 */
export async function rotateKey(
  core: KmsCore,
  catalog: Catalog,
  ref: string,
  tenant: string,
  when: "now" | "due" = "now",
): Promise<ResolvedKey | undefined> {
  const rotated = await retryConflicts(core.limits.commitTries, () =>
    core.memory.consistently(async () => {
      const key = await catalog.resolve(ref, tenant);
      const { values } = key.record;
      if (when === "due" && !rotationIsDue(values, core.now())) return false;
      const state = keyStateAt(values, core.now());
      if (state !== "active" && state !== "pre-active") {
        throw new KeyStateError("ERR_TRANSITION", `key "${key.name}" is ${state}: only an active key is rotated`, {
          keyId: key.keyId,
        });
      }
      const old = await loadCmk(core, key.tenantId, key.id, values.currentVersion);
      const next = { id: key.id, tenantId: key.tenantId, version: values.currentVersion + 1 };
      await withNewCmk(core, next, values.protection, async (cmk) => {
        const now = core.now();
        const kekId = await core.hsm.random(ID_BYTES);
        const rewrapped = await rewrapKeks(core, key, cmk);
        await core.vault.commit([
          nextRevision(key.record, {
            currentVersion: cmk.version,
            rotatedAt: now,
            kekId,
            kekVersion: 1,
            keks: [...values.keks, { kekId, versions: VERSIONS_OF_A_NEW_LINE }],
          }),
          nextRevision(old.record, { state: "deactivated", originatorEnd: now }),
          cmkRecord(cmk, now),
          ...rewrapped,
          ...(await newKekLine(core, cmk, kekId)),
        ]);
      });
      core.changed({ keyId: key.keyId, what: "rotated" });
      return true;
    }),
  );
  return rotated ? catalog.resolve(ref, tenant) : undefined;
}

/** Makes a CMK version in the HSM for `use`; where that fails, a resident one is destroyed again. */
async function withNewCmk(
  core: KmsCore,
  which: Omit<CmkVersion, "location">,
  residence: "wrapped" | "resident",
  use: (cmk: CmkVersion) => Promise<void>,
): Promise<void> {
  const location = await core.hsm.generateCmk({ residence });
  try {
    await use({ ...which, location });
  } catch (error) {
    // The first failure is the one to tell; what could not be removed is listed as an orphan.
    await removeUnused(core, which, location).catch(() => undefined);
    throw error;
  }
}

/** Not where the store holds it after all (a commit whose answer was lost). */
async function removeUnused(core: KmsCore, which: Omit<CmkVersion, "location">, location: CmkLocation): Promise<void> {
  if (location.residence !== "resident") return;
  const record = await core.vault.get(KEY_VERSION, which.tenantId, versionId(which.id, which.version));
  const stored = record?.values.residentObjectId;
  if (stored !== undefined && compareBytes(stored, location.objectId) === 0) return;
  await core.hsm.destroyResidentCmk(location.objectId);
}
