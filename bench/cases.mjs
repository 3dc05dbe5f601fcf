/** What is measured. Every case: a raw AES-256 keyring, suite 0x0478, frames of 4096 bytes, one context pair. */

const MIB = 1024 * 1024;

/**
 * `reused`: the result goes into a buffer kept from call to call, by a contender that can do that.
 * @typedef {{ name: string, plaintextBytes: number, cached: boolean, reused: boolean, direction: "encrypt" | "decrypt" }} Case
 */

/** @type {readonly Case[]} */
export const CASES = [
  { size: "1 KiB", plaintextBytes: 1024, cached: false },
  { size: "1 KiB, data key cached", plaintextBytes: 1024, cached: true },
  { size: "64 KiB", plaintextBytes: 64 * 1024, cached: false },
  { size: "1 MiB", plaintextBytes: MIB, cached: false },
  { size: "100 MB", plaintextBytes: 100_000_000, cached: false },
  { size: "100 MB, output reused", plaintextBytes: 100_000_000, cached: false, reused: true },
].flatMap(({ size, plaintextBytes, cached, reused = false }) =>
  /** @type {const} */ (["encrypt", "decrypt"]).map((direction) => ({
    name: `${direction} ${size}`,
    plaintextBytes,
    cached,
    reused,
    direction,
  })),
);

export const CONTEXT = Object.freeze({ purpose: "bench" });
export const KEY = Object.freeze({ namespace: "bench", name: "raw-aes-256" });
