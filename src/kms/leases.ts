/** Uses of a key, leased to this process in blocks: a crash wastes what is left of one, never repeats any. */

import { compareBytes } from "../bytes.js";
import { idText } from "./catalog.js";
import { type KmsCore, retryConflicts } from "./core.js";
import { LEASE, type LeaseValues } from "./fields.js";
import { versionId } from "./ids.js";
import { nextRevision, tampered, type VaultRecord } from "./vault.js";

/** What is counted: a version of a KEK, or a key of a keyset. */
export interface LeaseRef {
  readonly tenantId: Uint8Array;
  readonly lineId: Uint8Array;
  /** u32. */
  readonly version: number;
}

async function demandLease(core: KmsCore, { tenantId, lineId, version }: LeaseRef): Promise<VaultRecord<LeaseValues>> {
  const record = await core.vault.demand(LEASE, tenantId, versionId(lineId, version));
  const { values } = record;
  if (values.version !== version || compareBytes(values.lineId, lineId) !== 0) {
    throw tampered("a lease record in the place of another");
  }
  return record;
}

/**
 * `uses` more, or as many as are left below `most`: durable when this resolves.
 * @returns the range from `from` up to `to`, empty where none are left
 * @throws StoreError ERR_STORE_TAMPERED, also where the count is gone
 */
export function leaseRange(
  core: KmsCore,
  ref: LeaseRef,
  uses: number,
  most: number,
): Promise<{ readonly from: number; readonly to: number }> {
  return retryConflicts(core.limits.commitTries, async () => {
    const record = await demandLease(core, ref);
    const from = record.values.leased;
    const to = Math.max(from, Math.min(from + uses, most));
    if (to > from) await core.vault.commit([nextRevision(record, { leased: to })]);
    return { from, to };
  });
}

/** Takes back `uses` that were leased and will not be made: what is counted is how many, not which. */
export function returnUses(core: KmsCore, ref: LeaseRef, uses: number): Promise<void> {
  return retryConflicts(core.limits.commitTries, async () => {
    const record = await demandLease(core, ref);
    await core.vault.commit([nextRevision(record, { leased: Math.max(0, record.values.leased - uses) })]);
  });
}

interface Block {
  next: number;
  readonly end: number;
}

/** Wraps of KEK versions, one at a time out of blocks. */
export class Leases {
  readonly #core: KmsCore;
  readonly #blocks = new Map<string, Block>();
  readonly #renewals = new Map<string, Promise<boolean>>();

  constructor(core: KmsCore) {
    this.#core = core;
  }

  /** Takes one wrap. False where the version has none left, ever. Concurrent callers share one renewal. */
  async take(tenantId: Uint8Array, kekId: Uint8Array, version: number): Promise<boolean> {
    const name = idText(kekId, version);
    for (;;) {
      const block = this.#blocks.get(name);
      if (block !== undefined && block.next < block.end) {
        block.next++;
        return true;
      }
      let renewal = this.#renewals.get(name);
      if (renewal === undefined) {
        renewal = this.#renew(name, { tenantId, lineId: kekId, version }).finally(() => this.#renewals.delete(name));
        this.#renewals.set(name, renewal);
      }
      if (!(await renewal)) return false;
    }
  }

  async #renew(name: string, ref: LeaseRef): Promise<boolean> {
    const { wrapsPerLease, wrapsPerKekVersion } = this.#core.limits;
    this.#blocks.delete(name);
    const { from, to } = await leaseRange(this.#core, ref, wrapsPerLease, wrapsPerKekVersion);
    if (to > from) this.#blocks.set(name, { next: from, end: to });
    return to > from;
  }
}
