/** Where a named keyset lives: kept sealed, changed by compare-and-set, its records counted. Types only. */

import type { Bytes } from "../bytes.js";

export interface KeysetHome {
  readonly name: string;
  /** The Tink encrypted keyset as it is now, whoever changed it; undefined where there is none. @throws StoreError · KeyNotFoundError · InputError ERR_INPUT (it is under another key) */
  load(): Promise<Bytes | undefined>;
  /**
   * Keeps `sealed` durably, as the successor of `before`.
   * @param leasedKeyId a new key whose records are to be counted
   * @returns false where somebody else was first; nothing is written then
   */
  save(sealed: Bytes, before: Bytes | undefined, leasedKeyId: number | undefined): Promise<boolean>;
  /**
   * Hands this process `records` more under a key, or as many as are left below `most`; durable before it resolves.
   * @returns how many it got (0: none are left), and how many are left besides
   */
  lease(keyId: number, records: number, most: number): Promise<{ readonly granted: number; readonly left: number }>;
  /** Takes back what was leased and not used. */
  giveBack(keyId: number, records: number): Promise<void>;
  /** @throws KeyStateError · KeyNotFoundError · InputError ERR_INPUT · StoreError */
  authorise(operation: "encrypt" | "decrypt"): Promise<void>;
  /** From the HSM's generator. */
  random(bytes: number): Promise<Uint8Array>;
}
