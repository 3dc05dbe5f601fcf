/** Chooses the bulk engine, once, and says why. */

import { EngineError, InputError } from "../errors.js";
import { opensslEngine } from "./openssl.js";
import type { Engine, EngineName } from "./port.js";

export interface EngineInfo {
  readonly engine: EngineName;
  readonly kernel?: string;
  readonly candidates: readonly { readonly name: EngineName; readonly usable: boolean; readonly why: string }[];
  /** Threads that bulk work may use, this one included. */
  readonly threads: number;
}

/** In order of preference. */
const ENGINES: readonly { readonly engine: Engine; readonly why: string }[] = [
  { engine: opensslEngine, why: "node:crypto is present" },
];

/** @throws InputError ERR_INPUT for an unknown name · EngineError ERR_ENGINE_UNAVAILABLE for one not in this build */
export function selectEngine(name: string = "auto"): Engine {
  if (name === "auto") return (ENGINES[0] as { engine: Engine }).engine;
  if (!["native", "openssl", "wasm", "webcrypto"].includes(name)) {
    throw new InputError("ERR_INPUT", `"engine" expected auto, native, openssl, wasm or webcrypto, got "${name}"`);
  }
  const found = ENGINES.find(({ engine }) => engine.name === name);
  if (found === undefined) throw new EngineError("ERR_ENGINE_UNAVAILABLE", `the ${name} engine is not in this build`);
  return found.engine;
}

/** Which engine bulk work runs on, and why not another. */
export function engineInfo(): EngineInfo {
  const engine = defaultEngine();
  return {
    engine: engine.name,
    ...(engine.kernel === undefined ? {} : { kernel: engine.kernel }),
    candidates: ENGINES.map(({ engine: { name }, why }) => ({ name, usable: true, why })),
    threads: 1,
  };
}

let chosen: Engine | undefined;

/** The engine of calls that name none: `KEYLADDER_ENGINE` as it is at the first of them, else the best there is. */
export function defaultEngine(): Engine {
  chosen ??= selectEngine(process.env.KEYLADDER_ENGINE ?? "auto");
  return chosen;
}
