/** What a keyring answers: anybody can write one, and it may never answer. */

import { DataKey } from "../engine/data-key.js";

/** Wipes the data key of an answer that nobody uses. */
export function disposeAnswer(answer: unknown): void {
  const dataKey = (answer as { readonly dataKey?: unknown } | undefined | null)?.dataKey;
  if (dataKey instanceof DataKey) dataKey[Symbol.dispose]();
}

/**
 * The answer to `asked`, or the signal's reason as soon as it aborts. A data key that comes too late is wiped.
 * @throws what `asked` rejects with · the signal's reason
 */
export async function answerOf<T>(asked: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return asked;
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
  });
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort(); // by the keyring, as it was asked
  const answering = Promise.resolve(asked).then((answer) => {
    if (signal.aborted) disposeAnswer(answer);
    return answer;
  });
  try {
    return await Promise.race([aborted, answering]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
