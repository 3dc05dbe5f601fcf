/** Work under way: counted, so that closing waits for it, and refused once closing began. Imports nothing. */

export class Work {
  readonly #closedError: () => Error;
  readonly #underWay = new Set<Promise<unknown>>();
  #lastExclusive: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  /** @param closedError what work after closing is refused with */
  constructor(closedError: () => Error) {
    this.#closedError = closedError;
  }

  /** Runs `fn` unless closed. */
  async run<T>(fn: () => T | Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw this.#closedError();
    const running = (async () => fn())();
    this.#underWay.add(running);
    try {
      return await running;
    } finally {
      this.#underWay.delete(running);
    }
  }

  /** Runs `fn` after every `fn` given before it has settled. Called from within `run`. */
  async oneAtATime<T>(fn: () => Promise<T>): Promise<T> {
    const running = this.#lastExclusive.then(fn, fn);
    this.#lastExclusive = running;
    return running;
  }

  /** Refuses new work, waits for what is under way, then calls `release` once. Idempotent. */
  close(release: () => void | Promise<void>): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#underWay).then(release);
    return this.#closing;
  }
}
