/**
 * The AEAD port again, with several threads behind it. A large batch of frames is published in the addon as a job;
 * this thread works on it, helpers take pieces of it. Data stays where it is, in whatever memory, and no key crosses.
 *
 * Nobody depends on a helper: a job is done when its pieces are, whoever did them. So a helper that dies costs time,
 * and the only thing it fails is itself. Threads come from piscina; what they wait on between jobs is `wire.ts`'s.
 */

import { availableParallelism } from "node:os";
import { isMainThread } from "node:worker_threads";
import type { Piscina } from "piscina";
import { warn } from "../engine/addon.js";
import type { Engine } from "../engine/port.js";
import { InputError, type KeyladderError } from "../errors.js";
import { PooledEngine } from "./pooled-engine.js";
import { ASLEEP, CALLS, decodeError, FREE, type HelpAnswer, type HelpTask, SEATS, TAKEN, workerDied } from "./wire.js";

export interface PoolOptions {
  /** Threads besides the calling one. Default: one less than the cores, at most 7; none in a worker thread. */
  readonly threads?: number;
  /** Work on fewer plaintext bytes than this is done on the calling thread alone. Default 262144. */
  readonly inlineBelowBytes?: number;
}

export interface PoolInfo {
  /** Besides the calling one. 0: no pool. */
  readonly threads: number;
  readonly inlineBelowBytes: number;
  /** Whether its threads were asked for: none are before there was enough large work to pay for them. */
  readonly started: boolean;
  /** How many calls its threads joined, of those threads that have left since. */
  readonly joined: number;
  /** What ended its last thread that did not leave of itself; the next large call starts another. */
  readonly lastFailure?: KeyladderError;
}

const DEFAULT_INLINE_BELOW_BYTES = 262_144;
const MAX_THREADS = 1024;
/** More threads than this wait for memory, not for the cipher. */
const MAX_DEFAULT_THREADS = 7;
/** To start a pool costs about as much as this: whoever never works as long on large batches does without it. */
const START_AFTER_MS = 25;
/** A piece of a job: small enough that the last ones end together, within a core's second-level cache in any case. */
const [LEAST_PIECE_BYTES, MOST_PIECE_BYTES] = [131_072, 262_144];
const PIECES_A_THREAD = 2;
/**
 * To call a thread that has left costs this one some 100 us: it pays for as many bytes in one call, or where calls follow
 * each other so closely that it will stay.
 */
const WAKE_BYTES = 8 * 1024 * 1024;
const WAKE_WITHIN_MS = 1;
/** An idle thread is let go after so long. */
const IDLE_MS = 30_000;
/** After so many in a row that died there is no point in another. */
const MAX_DEATHS = 3;

/** What tests set. */
export interface PoolInternals {
  readonly startAfterMs?: number;
  readonly worker?: URL;
}

/** @throws InputError ERR_INPUT */
export function checkPoolOptions(options: unknown): Required<PoolOptions> | undefined {
  if (options === false) return undefined;
  if (options !== undefined && (typeof options !== "object" || options === null)) {
    throw new InputError("ERR_INPUT", '"pool" expected false or { threads, inlineBelowBytes }');
  }
  const { threads, inlineBelowBytes, ...unknown } = (options ?? {}) as Record<string, unknown>;
  const [other] = Object.keys(unknown);
  if (other !== undefined) throw new InputError("ERR_INPUT", `unknown option "pool.${other}"`);
  return {
    threads: whole(threads, "threads", MAX_THREADS, defaultThreads()),
    inlineBelowBytes: whole(inlineBelowBytes, "inlineBelowBytes", Number.MAX_SAFE_INTEGER, DEFAULT_INLINE_BELOW_BYTES),
  };
}

function whole(value: unknown, name: string, most: number, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw new InputError("ERR_INPUT", `"pool.${name}" expected a whole number from 0 to ${most}`);
}

/** Whoever made worker threads of his own has spread his work already. */
function defaultThreads(): number {
  return isMainThread ? Math.min(availableParallelism() - 1, MAX_DEFAULT_THREADS) : 0;
}

export class Pool {
  readonly inlineBelowBytes: number;
  readonly #threads: number;
  readonly #startAfterMs: number;
  readonly #worker: URL;
  readonly #control: Int32Array;
  #state: "idle" | "starting" | "started" | "closed" = "idle";
  #piscina: Piscina<HelpTask, HelpAnswer> | undefined;
  #workedMs = 0;
  #lastCallEnded = Number.NEGATIVE_INFINITY;
  #deaths = 0;
  #joined = 0;
  #lastFailure: KeyladderError | undefined;

  constructor(options: Required<PoolOptions>, { startAfterMs, worker }: PoolInternals = {}) {
    this.inlineBelowBytes = options.inlineBelowBytes;
    this.#threads = options.threads;
    this.#startAfterMs = startAfterMs ?? START_AFTER_MS;
    this.#worker = worker ?? new URL("./worker.js", import.meta.url);
    this.#control = new Int32Array(new SharedArrayBuffer((SEATS + options.threads) * Int32Array.BYTES_PER_ELEMENT));
  }

  get info(): PoolInfo {
    return {
      threads: this.#deaths < MAX_DEATHS ? this.#threads : 0,
      inlineBelowBytes: this.inlineBelowBytes,
      started: this.#piscina !== undefined,
      joined: this.#joined,
      ...(this.#lastFailure === undefined ? {} : { lastFailure: this.#lastFailure }),
    };
  }

  /** `engine` with this pool behind its large batches; itself where it is none whose keys other threads can use. */
  behind(engine: Engine): Engine {
    return engine.name === "native" && this.#threads > 0 ? new PooledEngine(engine, this) : engine;
  }

  /**
   * Runs one large call. Calls helpers where that pays, and does not wait for any; those awake come anyway.
   * @param call gets the piece length to work in; 0 where no helper will come
   */
  run<T>(bytes: number, call: (pieceBytes: number) => T): T {
    if (this.#piscina !== undefined) {
      if (bytes >= WAKE_BYTES || performance.now() - this.#lastCallEnded < WAKE_WITHIN_MS) {
        this.#callHelpers(this.#piscina);
      }
      const share = bytes / ((this.#threads + 1) * PIECES_A_THREAD);
      const result = call(Math.min(Math.max(share, LEAST_PIECE_BYTES), MOST_PIECE_BYTES) | 0);
      this.#lastCallEnded = performance.now();
      return result;
    }
    if (this.#state !== "idle") return call(0);
    const begun = performance.now();
    const result = call(0);
    this.#workedMs += performance.now() - begun;
    if (this.#workedMs >= this.#startAfterMs) void this.#start();
    return result;
  }

  /** Lets its threads go. What is under way is finished without them. Idempotent. */
  async close(): Promise<void> {
    this.#state = "closed";
    const piscina = this.#piscina;
    this.#piscina = undefined;
    await piscina?.destroy();
  }

  async #start(): Promise<void> {
    this.#state = "starting";
    try {
      const { Piscina } = await import("piscina");
      if (this.#state !== "starting") return; // closed meanwhile
      this.#piscina = new Piscina<HelpTask, HelpAnswer>({
        filename: this.#worker.href,
        minThreads: 0,
        maxThreads: this.#threads,
        idleTimeout: IDLE_MS,
        recordTiming: false,
      });
      // Of a thread without a task: one that cannot even begin.
      this.#piscina.on("error", (error) => this.#giveUp(workerDied(error)));
      this.#state = "started";
      this.#callHelpers(this.#piscina); // so that they are there for the next call
    } catch (error) {
      this.#giveUp(workerDied(error));
    }
  }

  #callHelpers(piscina: Piscina<HelpTask, HelpAnswer>): void {
    const control = this.#control;
    Atomics.add(control, CALLS, 1);
    if (Atomics.load(control, ASLEEP) > 0) Atomics.notify(control, CALLS);
    for (let seat = 0; seat < this.#threads; seat++) {
      if (Atomics.compareExchange(control, SEATS + seat, FREE, TAKEN) === FREE) this.#seat(piscina, seat);
    }
  }

  /** Asks for a helper. Its seat is free again when it leaves, or when its thread has died. */
  #seat(piscina: Piscina<HelpTask, HelpAnswer>, seat: number): void {
    piscina.run({ control: this.#control, seat }).then(
      (answer) => {
        if ("failure" in answer) return this.#died(decodeError(answer.failure));
        this.#deaths = 0;
        this.#joined += answer.joined;
      },
      (error) => {
        Atomics.store(this.#control, SEATS + seat, FREE);
        if (this.#state !== "closed") this.#died(workerDied(error));
      },
    );
  }

  #died(failure: KeyladderError): void {
    this.#lastFailure = failure;
    if (++this.#deaths === MAX_DEATHS) this.#giveUp(failure);
  }

  /** From now on this thread does all work. */
  #giveUp(failure: KeyladderError): void {
    if (this.#state === "closed") return;
    this.#lastFailure = failure;
    this.#deaths = MAX_DEATHS;
    warn(`no more threads are started, this one does all work: ${failure.message}`);
    void this.close();
  }
}
