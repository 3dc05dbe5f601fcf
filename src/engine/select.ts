/** Chooses the bulk engine, once, and says why. */

import { EngineError, InputError } from "../errors.js";
import { loadAddon, warn } from "./addon.js";
import { nativeEngine } from "./native.js";
import { opensslEngine } from "./openssl.js";
import type { Engine, EngineName } from "./port.js";

export interface EngineInfo {
  readonly engine: EngineName;
  /** The kernel in use, where the engine has several. */
  readonly kernel?: string;
  /** What of this CPU matters here, by its usual names; empty where the native addon is not loaded. */
  readonly features: readonly string[];
  /** Every choice there is, best first; `name` is what `KEYLADDER_ENGINE` takes. */
  readonly candidates: readonly { readonly name: string; readonly usable: boolean; readonly why: string }[];
  /** Where data keys are held. */
  readonly keyMemory: {
    /** In the addon's guarded memory; else in JavaScript arrays. */
    readonly guarded: boolean;
    readonly lockedBytes: number;
    /** What the operating system refused of the guarding, in words. */
    readonly refused: readonly string[];
  };
  /** Threads that bulk work may use, this one included. */
  readonly threads: number;
}

/** What can be chosen. Without an engine it cannot serve, and `code` says what kind of failure that is. */
interface Choice {
  readonly name: string;
  readonly engine: Engine | undefined;
  readonly code: "ERR_ENGINE_UNAVAILABLE" | "ERR_ENGINE_SELF_TEST";
  /** Whether `auto` takes it. */
  readonly should: boolean;
  readonly why: string;
}

const NAMES = ["auto", "native", "openssl", "wasm", "webcrypto"];
const OPENSSL = {
  name: "openssl",
  engine: opensslEngine,
  code: "ERR_ENGINE_UNAVAILABLE",
  should: true,
  why: "node:crypto is present",
} as const;

/** In order of preference. */
function choices(): Choice[] {
  return [...nativeChoices(), OPENSSL];
}

function nativeChoices(): Choice[] {
  const { addon, why } = loadAddon();
  const none = { name: "native", engine: undefined, code: "ERR_ENGINE_UNAVAILABLE", should: false } as const;
  if (addon === undefined) return [{ ...none, why }];
  const { kernels } = addon.info();
  if (kernels.length === 0) return [{ ...none, why: "the addon has no kernel for this CPU" }];
  return kernels.map(({ can, should, why, name: kernel }, number): Choice => {
    const name = `native:${kernel}`;
    if (!can) return { ...none, name, why };
    const failure = addon.selfTest(number);
    if (failure === undefined) return { ...none, name, engine: nativeEngine(addon, number, kernel), should, why };
    return { ...none, name, code: "ERR_ENGINE_SELF_TEST", why: `its self-test failed: ${failure}` };
  });
}

/**
 * @param name auto, native, native:KERNEL, openssl
 * @throws InputError ERR_INPUT for an unknown name · EngineError ERR_ENGINE_UNAVAILABLE for one that this build or machine
 * does not have, ERR_ENGINE_SELF_TEST for one that answers wrongly
 */
export function selectEngine(name: string = "auto"): Engine {
  const all = choices();
  if (name === "auto") return auto(all);
  const base = name.split(":", 1)[0] as string;
  if (!NAMES.includes(base) || (base !== "native" && base !== name)) {
    throw new InputError("ERR_INPUT", `"engine" expected one of ${expected(all)}, got "${name}"`);
  }
  const named = all.filter((choice) => choice.name === name || (name === "native" && choice.name.startsWith("native")));
  const engine = named.find((choice) => choice.engine !== undefined)?.engine;
  if (engine !== undefined) return engine;
  const [best] = named;
  if (best !== undefined) throw new EngineError(best.code, `the engine ${best.name} cannot serve: ${best.why}`);
  const none = base === "native" ? all.find((choice) => choice.name === "native")?.why : undefined;
  throw new EngineError("ERR_ENGINE_UNAVAILABLE", `the engine ${name} is not there: ${none ?? "not in this build"}`);
}

/** The best that pays here. A kernel that answers wrongly is passed over, and said so. */
function auto(all: readonly Choice[]): Engine {
  for (const { name, code, why } of all) {
    if (code === "ERR_ENGINE_SELF_TEST") warnOnce(`${name} is not used: ${why}`);
  }
  return all.find(({ engine, should }) => engine !== undefined && should)?.engine ?? opensslEngine;
}

const warned = new Set<string>();

function warnOnce(message: string): void {
  if (warned.has(message)) return;
  warned.add(message);
  warn(message);
}

function expected(all: readonly Choice[]): string {
  return ["auto", ...new Set(["native", ...all.map(({ name }) => name)])].join(", ");
}

/** Which engine bulk work runs on, and why not another. */
export function engineInfo(): EngineInfo {
  const engine = defaultEngine();
  const all = choices();
  const serving = engine.kernel === undefined ? engine.name : `${engine.name}:${engine.kernel}`;
  const servingAt = all.findIndex(({ name }) => name === serving);
  const info = loadAddon().addon?.info();
  return {
    engine: engine.name,
    ...(engine.kernel === undefined ? {} : { kernel: engine.kernel }),
    features: info?.features ?? [],
    candidates: all.map((choice, at) => ({
      name: choice.name,
      usable: choice.engine !== undefined,
      why: whyOf(choice, at - servingAt),
    })),
    keyMemory: {
      guarded: info !== undefined,
      lockedBytes: info?.memory.lockedBytes ?? 0,
      refused: info?.memory.refused ?? [],
    },
    threads: 1,
  };
}

/** @param place how far behind the one that serves */
function whyOf({ engine, should, why }: Choice, place: number): string {
  if (place === 0) return `serves: ${why}`;
  if (engine === undefined || !should) return why;
  return place > 0 ? `a faster one serves: ${why}` : `another was named: ${why}`;
}

let chosen: Engine | undefined;

/** The engine of calls that name none: `KEYLADDER_ENGINE` as it is at the first of them, else the best there is. */
export function defaultEngine(): Engine {
  chosen ??= selectEngine(process.env.KEYLADDER_ENGINE ?? "auto");
  return chosen;
}
