/** The key operations of a handle: create, describe, list, alias, rotate, suspend, resume. */

import { compareBytes } from "../bytes.js";
import { KeyNotFoundError, KeyStateError } from "../errors.js";
import type { Catalog, ResolvedKey } from "./catalog.js";
import { type KeyChange, type KmsCore, retryConflicts } from "./core.js";
import { aliasRecord, createKey, rotateKey } from "./create.js";
import { KEY, type KeyValues } from "./fields.js";
import { checkName, keyIdText } from "./ids.js";
import { type KeyInfo, keyInfo } from "./info.js";
import { type Listing, listing } from "./listing.js";
import {
  type CreateKey,
  type KeyFilter,
  type KeyRef,
  parseCreateKey,
  parseKeyFilter,
  parseSuspend,
} from "./options.js";
import { type KeyState, keyStateAt } from "./state.js";
import { nextRevision } from "./vault.js";

/** Keys and what happens to them. A reference names a key by id, by alias in this handle's tenant, or as 'tenant:alias'. */
export interface Keys {
  /** @throws InputError ERR_INPUT · KeyStateError ERR_KEY_EXISTS where the alias is taken and `ifExists` is "error" */
  create(options?: CreateKey): Promise<KeyInfo>;
  /** @throws KeyNotFoundError ERR_KEY_NOT_FOUND */
  describe(key: KeyRef): Promise<KeyInfo>;
  /** The keys of a tenant (default: this handle's), oldest first. */
  list(filter?: KeyFilter): Listing<KeyInfo>;
  /** Gives a key of this handle's tenant a further name, or moves the name from another key. */
  setAlias(alias: string, key: KeyRef): Promise<void>;
  /** @throws KeyNotFoundError ERR_KEY_NOT_FOUND */
  removeAlias(alias: string): Promise<void>;
  /** A new version for new messages; older ones open as before. @throws KeyStateError ERR_TRANSITION */
  rotate(key: KeyRef): Promise<KeyInfo>;
  /**
   * Rotates every active key of this handle's tenant whose rotation period is over. Any number of processes may run it
   * at once: each key is rotated by one of them. @returns the keys this call rotated
   */
  rotateDue(): Promise<KeyInfo[]>;
  /** Stops all use, reversibly. @throws KeyStateError ERR_TRANSITION where it is suspended already, or out of use */
  suspend(key: KeyRef, options: { readonly reason: string }): Promise<KeyInfo>;
  /** @throws KeyStateError ERR_TRANSITION where it is not suspended */
  resume(key: KeyRef): Promise<KeyInfo>;
}

/** The operations for one tenant's handle. */
export function createKeys(core: KmsCore, catalog: Catalog, tenant: string): Keys {
  const info = (key: ResolvedKey) => core.memory.consistently(() => describe(key));
  const describe = async (key: ResolvedKey) => keyInfo(core, (await catalog.find(key.id, key.tenant)) ?? key);

  /** Changes the key's record alone, from one of the states given. */
  const transition = async (
    ref: KeyRef,
    from: readonly KeyState[],
    changes: { readonly [K in keyof KeyValues]?: KeyValues[K] | undefined },
    what: KeyChange["what"],
  ): Promise<KeyInfo> => {
    const key = await retryConflicts(core.limits.commitTries, async () => {
      const current = await catalog.resolve(ref, tenant);
      const state = keyStateAt(current.record.values, core.now());
      if (!from.includes(state)) {
        throw new KeyStateError("ERR_TRANSITION", `key "${current.name}" is ${state}: it cannot be ${what}`, {
          keyId: current.keyId,
        });
      }
      await core.vault.commit([nextRevision(current.record, { ...changes, stateChangedAt: core.now() })]);
      return current;
    });
    core.changed({ keyId: key.keyId, what });
    return info(key);
  };

  return {
    async create(options) {
      return info(await createKey(core, catalog, parseCreateKey(options), tenant));
    },

    async describe(key) {
      return info(await catalog.resolve(key, tenant));
    },

    list(filter) {
      return listKeys(core, catalog, parseKeyFilter(filter), tenant);
    },

    async setAlias(alias, ref) {
      checkName(alias, "alias");
      const key = await catalog.resolve(ref, tenant);
      if (key.tenant !== tenant) {
        throw new KeyNotFoundError("ERR_KEY_NOT_FOUND", `no key "${ref}" in the tenant "${tenant}"`, { key: ref });
      }
      await retryConflicts(core.limits.commitTries, async () => {
        const before = await catalog.alias(key.tenantId, alias);
        const target = before?.values.keyId;
        if (target !== undefined && compareBytes(target, key.id) === 0) return;
        await core.vault.commit([aliasRecord(core, key.tenantId, alias, before, key.id)]);
        if (target !== undefined) core.changed({ keyId: keyIdText(target), what: "updated" });
      });
      core.changed({ keyId: key.keyId, what: "updated" });
    },

    async removeAlias(alias) {
      checkName(alias, "alias");
      const target = await retryConflicts(core.limits.commitTries, async () => {
        const tenantId = await catalog.tenantId(tenant);
        const before = tenantId === undefined ? undefined : await catalog.alias(tenantId, alias);
        const id = before?.values.keyId;
        if (tenantId === undefined || id === undefined) {
          throw new KeyNotFoundError("ERR_KEY_NOT_FOUND", `no alias "${alias}"`, { key: alias });
        }
        await core.vault.commit([aliasRecord(core, tenantId, alias, before, undefined)]);
        return id;
      });
      core.changed({ keyId: keyIdText(target), what: "updated" });
    },

    async rotate(ref) {
      const key = await rotateKey(core, catalog, ref, tenant);
      return info(key ?? (await catalog.resolve(ref, tenant)));
    },

    async rotateDue() {
      const done: KeyInfo[] = [];
      for await (const { keyId, nextRotationAt } of listKeys(core, catalog, { state: "active" }, tenant)) {
        if (nextRotationAt === undefined || nextRotationAt.getTime() > core.now()) continue;
        const key = await rotateKey(core, catalog, keyId, tenant, "due");
        if (key !== undefined) done.push(await info(key));
      }
      return done;
    },

    async suspend(key, options) {
      const { reason } = parseSuspend(options);
      return transition(
        key,
        ["active", "pre-active", "deactivated"],
        { state: "suspended", stateReason: reason },
        "suspended",
      );
    },

    async resume(key) {
      return transition(key, ["suspended"], { state: "active", stateReason: undefined }, "resumed");
    },
  };
}

function listKeys(
  core: KmsCore,
  catalog: Catalog,
  filter: ReturnType<typeof parseKeyFilter>,
  ownTenant: string,
): Listing<KeyInfo> {
  const tenant = filter.tenant ?? ownTenant;
  const fits = (values: KeyValues): boolean => {
    if (filter.state !== undefined && keyStateAt(values, core.now()) !== filter.state) return false;
    if (filter.tag === undefined) return true;
    const [name = "", value] = splitTag(filter.tag);
    const tags = values.tags ?? {};
    return Object.hasOwn(tags, name) && (value === undefined || tags[name] === value);
  };
  return listing(async (after, limit) => {
    const tenantId = await catalog.tenantId(tenant);
    if (tenantId === undefined) return { items: [], last: undefined };
    const query = { tenantId, limit, ...(after === undefined ? {} : { after }) };
    const records = await core.vault.list(KEY, query);
    const items: KeyInfo[] = [];
    for (const record of records.filter(({ values }) => fits(values))) {
      const key = catalog.resolved(tenant, tenantId, record);
      items.push(
        await core.memory.consistently(async () => keyInfo(core, (await catalog.find(key.id, tenant)) ?? key)),
      );
    }
    const last = records.at(-1);
    if (last === undefined || records.length < limit) return { items, last: undefined };
    return { items, last: { createdAt: last.values.createdAt, recordId: last.recordId } };
  });
}

function splitTag(tag: string): [string, string?] {
  const at = tag.indexOf("=");
  return at < 0 ? [tag] : [tag.slice(0, at), tag.slice(at + 1)];
}
