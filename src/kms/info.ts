/** What is public about a key. */

import type { Duration } from "../duration.js";
import type { ResolvedKey } from "./catalog.js";
import type { KmsCore } from "./core.js";
import { ALIAS } from "./fields.js";
import { loadCmk } from "./keks.js";
import type { CreateKey } from "./options.js";
import { type KeyState, keyStateAt } from "./state.js";

export interface KeyVersionInfo {
  readonly version: number;
  readonly state: KeyState;
  readonly createdAt: Date;
}

export interface KeyInfo extends Omit<CreateKey, "ifExists"> {
  /** 'cmk_…' */
  readonly keyId: string;
  /** The newest version: new messages use it. */
  readonly keyVersion: number;
  readonly keyState: KeyState;
  /** Every alias of the key, oldest first; `alias` is the first. */
  readonly aliases: readonly string[];
  readonly tenant: string;
  /** The token that made it: kind and serial number. */
  readonly issuer: string;
  /** Why it is suspended. */
  readonly stateReason?: string;
  readonly createdAt: Date;
  readonly nextRotationAt?: Date;
  readonly versions: readonly KeyVersionInfo[];
}

const MAX_ALIASES = 1000;

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
] as const;

/** In the largest unit that needs no fraction. */
function formatDuration(ms: number): Duration {
  const [unit, size] = UNITS.find(([, length]) => ms % length === 0) ?? UNITS[4];
  return `${ms / size}${unit}`;
}

export async function keyInfo(core: KmsCore, key: ResolvedKey): Promise<KeyInfo> {
  const { values } = key.record;
  const { owner, description, tags, contextKeys, stateReason, rotationPeriod, activatesAt, expiresAt } = values;
  const aliases = await aliasesOf(core, key);
  const state = keyStateAt(values, core.now());
  return {
    keyId: key.keyId,
    ...(aliases[0] === undefined ? {} : { alias: aliases[0] }),
    aliases,
    tenant: key.tenant,
    keyVersion: values.currentVersion,
    keyState: state,
    ...(stateReason === undefined ? {} : { stateReason }),
    usage: values.usage,
    algorithm: values.algorithm,
    protection: values.protection,
    origin: "hsm",
    managedBy: values.managedBy,
    exportable: false,
    issuer: values.issuer,
    ...(owner === undefined ? {} : { owner }),
    ...(description === undefined ? {} : { description }),
    ...(tags === undefined ? {} : { tags }),
    ...(contextKeys === undefined ? {} : { contextKeys }),
    createdAt: new Date(values.createdAt),
    ...(activatesAt === undefined ? {} : { activatesAt: new Date(activatesAt) }),
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt),
    rotationPeriod: rotationPeriod === undefined ? null : formatDuration(rotationPeriod),
    ...(rotationPeriod === undefined ? {} : { nextRotationAt: new Date(values.rotatedAt + rotationPeriod) }),
    versions: await versionsOf(core, key),
  };
}

async function versionsOf(core: KmsCore, key: ResolvedKey): Promise<KeyVersionInfo[]> {
  const versions: KeyVersionInfo[] = [];
  for (let version = 1; version <= key.record.values.currentVersion; version++) {
    const { values } = (await loadCmk(core, key.tenantId, key.id, version)).record;
    versions.push({ version, state: values.state, createdAt: new Date(values.createdAt) });
  }
  return versions;
}

async function aliasesOf(core: KmsCore, key: ResolvedKey): Promise<string[]> {
  const records = await core.vault.list(ALIAS, { tenantId: key.tenantId, parentId: key.id, limit: MAX_ALIASES });
  return records.map(({ values }) => values.name);
}
