/** A thread of the pool: helps with large batches of other threads. It sees key handles' numbers at most, never a key. */

import { loadAddon } from "../engine/addon.js";
import { EngineError } from "../errors.js";
import { ASLEEP, CALLS, encodeError, FREE, type HelpAnswer, type HelpTask, SEATS } from "./wire.js";

/** How long a helper looks for the next batch before it sleeps: waking one costs more than a batch of 256 KiB. */
const SPIN_MICROS = 50;
/** How long it sleeps before it leaves. Until then it keeps the process alive. */
const LINGER_MS = 10;

export default function help({ control, seat }: HelpTask): HelpAnswer {
  try {
    return { joined: helpUntilIdle(control) };
  } catch (error) {
    return { failure: encodeError(error) };
  } finally {
    Atomics.store(control, SEATS + seat, FREE);
  }
}

function helpUntilIdle(control: Int32Array): number {
  const { addon, why } = loadAddon();
  if (addon === undefined) throw new EngineError("ERR_ENGINE_UNAVAILABLE", why);
  for (let joined = 0; ; ) {
    const calls = Atomics.load(control, CALLS);
    joined += addon.help(SPIN_MICROS);
    if (Atomics.load(control, CALLS) !== calls) continue;
    Atomics.add(control, ASLEEP, 1);
    const woken = Atomics.wait(control, CALLS, calls, LINGER_MS);
    Atomics.sub(control, ASLEEP, 1);
    if (woken === "timed-out") return joined;
  }
}
