/** Wraps of a KEK version, leased to this process in blocks: a crash wastes what is left of one, never repeats any. */

import { compareBytes } from "../bytes.js";
import { idText } from "./catalog.js";
import { type KmsCore, retryConflicts } from "./core.js";
import { LEASE } from "./fields.js";
import { versionId } from "./ids.js";
import { nextRevision, tampered } from "./vault.js";

interface Block {
  next: number;
  readonly end: number;
}

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
        renewal = this.#renew(name, tenantId, kekId, version).finally(() => this.#renewals.delete(name));
        this.#renewals.set(name, renewal);
      }
      if (!(await renewal)) return false;
    }
  }

  #renew(name: string, tenantId: Uint8Array, kekId: Uint8Array, version: number): Promise<boolean> {
    const { vault, limits } = this.#core;
    this.#blocks.delete(name);
    return retryConflicts(limits.commitTries, async () => {
      const record = await vault.demand(LEASE, tenantId, versionId(kekId, version));
      const { values } = record;
      if (values.version !== version || compareBytes(values.kekId, kekId) !== 0) {
        throw tampered("a lease record in the place of another");
      }
      const end = Math.min(values.leased + limits.wrapsPerLease, limits.wrapsPerKekVersion);
      if (end <= values.leased) return false;
      // Durable before the first of them is used.
      await vault.commit([nextRevision(record, { leased: end })]);
      this.#blocks.set(name, { next: values.leased, end });
      return true;
    });
  }
}
