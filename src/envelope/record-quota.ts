/**
 * How many records a key may still seal. AES-GCM with random nonces is good for 2^32 under one key (SP 800-38D 8.3);
 * XAES-256-GCM, whose nonce is longer, for more than anybody seals.
 */

import { LimitError } from "../errors.js";
import type { KeysetHome } from "./keyset-home.js";

/** SP 800-38D 8.3. */
export const MAX_RECORDS = 2 ** 32;
/** Where the caller names none: half of what is allowed. */
export const DEFAULT_MAX_RECORDS = 2 ** 31;
/** The first lease of a process is this part of what a key may seal; each one after it twice as large, up to an eighth. */
const FIRST_LEASE = 1 / 128;
const LARGEST_LEASE = 1 / 8;
/** A new lease is asked for when so much of the last one is left. */
const RENEW_BELOW = 1 / 10;

export interface Quota {
  /** How many may still be sealed, as far as is known. */
  readonly left: number;
  /** Takes `records`. @throws LimitError ERR_KEYSET_EXHAUSTED, `retryable` where a renewal is under way */
  take(records: number): void;
  /** Takes `records`, waiting for a lease where that takes one. @throws LimitError ERR_KEYSET_EXHAUSTED · StoreError */
  takeWhenLeased(records: number): Promise<void>;
  /** Asks for a first lease, so that `take` finds one. Never rejects: where there is none, `take` says so. */
  prepare(): Promise<void>;
  /** Gives back what was not used. Never rejects. */
  release(): Promise<void>;
}

const nothing = async (): Promise<void> => undefined;

function exhausted(retryable = false, cause?: unknown): LimitError {
  const why = retryable ? "a further lease is under way: try again" : "rotate the keyset";
  const message = `the primary key of the keyset may seal no more records: ${why}`;
  return new LimitError("ERR_KEYSET_EXHAUSTED", message, { retryable, ...(cause === undefined ? {} : { cause }) });
}

/** What need not be counted. */
export function unlimited(): Quota {
  return {
    left: Number.MAX_SAFE_INTEGER,
    take: () => undefined,
    takeWhenLeased: nothing,
    prepare: nothing,
    release: nothing,
  };
}

/** So many and no more: what the caller says, and answers for. */
export function fixedQuota(records: number): Quota {
  let left = records;
  const take = (wanted: number): void => {
    if (wanted > left) throw exhausted();
    left -= wanted;
  };
  return {
    get left() {
      return left;
    },
    take,
    takeWhenLeased: async (wanted) => take(wanted),
    prepare: nothing,
    release: nothing,
  };
}

/** Ranges leased from the keyset's home: a crash wastes what is left of one, two processes never share any. */
export class LeasedQuota implements Quota {
  readonly #home: KeysetHome;
  readonly #keyId: number;
  readonly #most: number;
  #leaseSize: number;
  /** Leased and not used yet. */
  #available = 0;
  /** Not leased by anybody, when last asked. */
  #elsewhere: number;
  #renewal: Promise<void> | undefined;
  #failure: unknown;
  #released = false;

  /** @param most how many the key may seal, over all processes */
  constructor(home: KeysetHome, keyId: number, most: number) {
    this.#home = home;
    this.#keyId = keyId;
    this.#most = most;
    this.#leaseSize = Math.max(1, Math.floor(most * FIRST_LEASE));
    this.#elsewhere = most;
  }

  get left(): number {
    return this.#available + this.#elsewhere;
  }

  take(records: number): void {
    if (records > this.#available) {
      const more = this.#elsewhere > 0;
      if (more) this.#renewAhead(records);
      throw exhausted(more, this.#failure);
    }
    this.#available -= records;
    if (this.#available < this.#leaseSize * RENEW_BELOW && this.#elsewhere > 0) this.#renewAhead(0);
  }

  async takeWhenLeased(records: number): Promise<void> {
    while (records > this.#available) {
      if (this.#elsewhere <= 0 || this.#released) throw exhausted();
      await this.#renew(records);
    }
    this.take(records);
  }

  async prepare(): Promise<void> {
    await this.#renew(1).catch((error: unknown) => {
      this.#failure = error;
    });
  }

  async release(): Promise<void> {
    this.#released = true;
    await this.#renewal?.catch((error: unknown) => {
      this.#failure = error;
    });
    const unused = this.#available;
    this.#available = 0;
    if (unused === 0) return;
    // What cannot be given back is wasted, as it is by a crash.
    await this.#home.giveBack(this.#keyId, unused).catch((error: unknown) => {
      this.#failure = error;
    });
  }

  /** In the background: a failure shows at the next call that needs the lease. */
  #renewAhead(records: number): void {
    if (this.#released) return;
    this.#renew(records).catch((error: unknown) => {
      this.#failure = error;
    });
  }

  /** Concurrent callers share one. */
  #renew(records: number): Promise<void> {
    this.#renewal ??= this.#lease(records).finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #lease(records: number): Promise<void> {
    const wanted = Math.max(this.#leaseSize, records - this.#available);
    const { granted, left } = await this.#home.lease(this.#keyId, wanted, this.#most);
    this.#failure = undefined;
    this.#available += granted;
    this.#elsewhere = left;
    this.#leaseSize = Math.max(1, Math.min(2 * this.#leaseSize, Math.floor(this.#most * LARGEST_LEASE)));
  }
}
