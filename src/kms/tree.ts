/** The ladder below one key, for people: which version wraps what. No secret is in it. */

import { toHex } from "../bytes.js";
import { EngineError } from "../errors.js";
import type { ResolvedKey } from "./catalog.js";
import type { KmsCore } from "./core.js";
import { LEASE } from "./fields.js";
import { kekVersions, loadCmk, loadKek } from "./keks.js";
import { type KeyState, keyStateAt } from "./state.js";

export interface KeyTree {
  readonly keyId: string;
  readonly state: KeyState;
  readonly versions: readonly {
    readonly version: number;
    readonly state: KeyState;
    /** "wrapped" under HMK-WRAP in the store, or "resident" in the HSM. */
    readonly residence: "wrapped" | "resident";
  }[];
  readonly keks: readonly {
    /** Hex. */
    readonly kekId: string;
    readonly version: number;
    readonly state: KeyState;
    /** The CMK version that wraps it now, and the one it was made under. */
    readonly parentVersion: number;
    readonly originVersion: number;
    /** Wraps handed out to processes so far. */
    readonly leased: number;
  }[];
}

export async function keyTree(core: KmsCore, key: ResolvedKey): Promise<KeyTree> {
  const { values } = key.record;
  const versions: KeyTree["versions"][number][] = [];
  for (let version = 1; version <= values.currentVersion; version++) {
    const cmk = await loadCmk(core, key.tenantId, key.id, version);
    versions.push({ version, state: cmk.record.values.state, residence: cmk.location.residence });
  }
  const keks: KeyTree["keks"][number][] = [];
  for (const { kekId, version } of kekVersions(key)) {
    const kek = await loadKek(core, key, kekId, version);
    if (kek === undefined) throw new EngineError("ERR_INTERNAL", "a listed KEK was not found");
    const { state, parentVersion } = kek.record.values;
    const lease = await core.vault.demand(LEASE, key.tenantId, kek.record.recordId);
    const { originVersion } = kek;
    keks.push({ kekId: toHex(kekId), version, state, parentVersion, originVersion, leased: lease.values.leased });
  }
  return { keyId: key.keyId, state: keyStateAt(values, core.now()), versions, keks };
}
