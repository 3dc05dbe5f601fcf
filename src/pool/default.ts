/** The engine of calls that name none, with the pool behind it that such calls share; and what there is to say of both. */

import type { Engine } from "../engine/port.js";
import {
  type EngineInfo as BareEngineInfo,
  defaultEngine as bareEngine,
  engineInfo as bareEngineInfo,
} from "../engine/select.js";
import { InputError } from "../errors.js";
import { checkPoolOptions, Pool, type PoolInfo } from "./pool.js";

export interface EngineInfo extends BareEngineInfo {
  /** The pool of calls that name none. */
  readonly pool: PoolInfo & { /** Why there is none, or why it has not started. */ readonly why: string };
}

let shared: { readonly engine: Engine; readonly pool: Pool } | undefined;

function defaults(): { readonly engine: Engine; readonly pool: Pool } {
  if (shared === undefined) {
    const pool = new Pool(optionsOf(process.env.KEYLADDER_POOL));
    shared = { engine: pool.behind(bareEngine()), pool };
  }
  return shared;
}

/** @param threads `KEYLADDER_POOL`: how many besides the calling one; 0 for none @throws InputError ERR_INPUT */
function optionsOf(threads: string | undefined): { threads: number; inlineBelowBytes: number } {
  const options = checkPoolOptions(undefined) as { threads: number; inlineBelowBytes: number };
  if (threads === undefined || threads === "") return options;
  if (!/^\d{1,4}$/.test(threads)) {
    throw new InputError("ERR_INPUT", `KEYLADDER_POOL expected a number of threads, got "${threads}"`);
  }
  return { ...options, ...checkPoolOptions({ threads: Number(threads) }) };
}

/** The engine of calls that name none. */
export function defaultEngine(): Engine {
  return defaults().engine;
}

/** `engine` as calls that name no pool use it. */
export function withDefaultPool(engine: Engine): Engine {
  return defaults().pool.behind(engine);
}

/** Which engine bulk work runs on, why not another, and how many threads serve it. */
export function engineInfo(): EngineInfo {
  const info = bareEngineInfo();
  const { pool } = defaults();
  const usable = info.engine === "native";
  const facts = usable ? pool.info : { ...pool.info, threads: 0 };
  return { ...info, threads: facts.threads + 1, pool: { ...facts, why: whyOf(facts, usable) } };
}

function whyOf({ threads, started, lastFailure }: PoolInfo, usable: boolean): string {
  if (!usable) return "only the native engine's keys can be used by other threads";
  if (threads === 0) return lastFailure?.message ?? "none was asked for, or there is one core";
  return started ? "its threads help with large batches" : "there was not enough large work yet";
}
