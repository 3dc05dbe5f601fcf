/** Every suite, in the order it runs. One without `run` is cases that contenders' processes work on. */

import { SUITES as AEAD } from "./aead.mjs";
import { SUITES as FILES } from "./files.mjs";
import { SUITES as LADDER } from "./ladder.mjs";
import { SUITES as MESSAGES } from "./messages.mjs";
import { SUITES as NATIVE } from "./native.mjs";
import { SUITES as POOL } from "./pool.mjs";
import { SUITES as ROWS } from "./rows.mjs";

/**
 * @typedef {{ name: string, title: string, about: string, ours?: string, peers?: readonly string[],
 *   cases?: readonly import("../harness/measure.mjs").Case[],
 *   run?: (effort: { rounds: number, roundMs: number }, only: string) => Promise<{ rows: import("../harness/measure.mjs").Row[], versions: Record<string, string | undefined> }> }} Suite
 */

/** @type {readonly Suite[]} */
export const SUITES = [...NATIVE, ...AEAD, ...MESSAGES, ...POOL, ...FILES, ...ROWS, ...LADDER];
