/** What the parts of the key service share: the HSM, the vault, the clock, and a memory of what was read. */

import { setTimeout as delay } from "node:timers/promises";
import { KeyladderError } from "../errors.js";
import type { HsmInfo, HsmSession } from "../hsm/port.js";
import type { KmsLimits } from "./limits.js";
import type { Vault } from "./vault.js";

/** A key changed: whoever keeps anything derived from it lets go. */
export interface KeyChange {
  readonly keyId: string;
  readonly what: "created" | "rotated" | "suspended" | "resumed" | "updated";
}

export interface KmsCore {
  readonly hsm: HsmSession;
  readonly token: HsmInfo;
  readonly vault: Vault;
  readonly limits: KmsLimits;
  readonly memory: Memory;
  /** ms UTC. */
  now(): number;
  changed(change: KeyChange): void;
}

const MAX_REMEMBERED = 20_000;
/** Reads that another writer came between are tried again. */
const READ_TRIES = 8;

/**
 * What was read and verified, for as long as nobody has committed anything: asked before each use, so that a change by
 * another process is seen at the very next call.
 */
export class Memory {
  readonly #vault: Vault;
  #version: number | string | undefined;
  #entries = new Map<string, Promise<unknown>>();

  constructor(vault: Vault) {
    this.#vault = vault;
  }

  /** `load`, or what it gave before. Concurrent callers share one load; a failure is not kept. */
  async remember<T>(name: string, load: () => Promise<T>): Promise<T> {
    const version = await this.#vault.dataVersion();
    if (version !== this.#version || this.#entries.size >= MAX_REMEMBERED) {
      this.#version = version;
      this.#entries = new Map();
    }
    const entries = this.#entries;
    const known = entries.get(name);
    if (known !== undefined) return known as Promise<T>;
    const loading = load();
    entries.set(name, loading);
    try {
      return await loading;
    } catch (error) {
      entries.delete(name);
      throw error;
    }
  }

  /** Reads of several records that must agree: again where another writer came between them. */
  async consistently<T>(read: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      const before = await this.#vault.dataVersion();
      try {
        return await read();
      } catch (error) {
        if (!KeyladderError.is(error, "ERR_STORE_TAMPERED") || tries >= READ_TRIES) throw error;
        if ((await this.#vault.dataVersion()) === before) throw error;
      }
    }
  }
}

/** A change, again from a fresh read where another writer was first. @throws StoreError ERR_STORE_CONFLICT at the end */
export async function retryConflicts<T>(tries: number, change: () => Promise<T>): Promise<T> {
  for (let done = 1; ; done++) {
    try {
      return await change();
    } catch (error) {
      if (done >= tries || !KeyladderError.is(error, "ERR_STORE_CONFLICT")) throw error;
      await delay(Math.random() * Math.min(2 ** done, 100));
    }
  }
}
