/** Messages that were begun and forgotten: a stream that nobody ended, a range that nobody reads any more. */

const forgotten = new FinalizationRegistry<{ end(): void }>((message) => message.end());

/** Lets go of a message's keys when `owner`, which `message` must not hold, is garbage: for owners that have no end. */
export function endWith(owner: object, message: { end(): void }): void {
  forgotten.register(owner, message);
}
