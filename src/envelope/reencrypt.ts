/** A new message from an old one: fresh data key, fresh message id. */

import { type Bytes, unshared, wipe } from "../bytes.js";
import type { Keyring, Unwrapper } from "../keyring/port.js";
import { suiteOf } from "../message/suites.js";
import { defaultEngine } from "../pool/default.js";
import { openMessage } from "./decrypt.js";
import { sealMessage } from "./encrypt.js";
import { inspect } from "./inspect.js";
import { checkMessage, checkOptions, ENCRYPT_OPTIONS, type EncryptOptions } from "./options.js";

export interface ReencryptOptions extends Omit<EncryptOptions, "keyring" | "out"> {
  /** Opens the old message. */
  readonly from: Unwrapper;
  /** Seals the new one. */
  readonly to: Keyring;
}

/**
 * Opens `given` and seals its plaintext anew (ladder rule 1: a header is never tagged twice under one data key, so
 * there is no cheaper way). `context` is demanded of the old message as in `decrypt`; the new one keeps every pair of
 * the old, and stores none that the old one bound without storing unless `requiredContext` says so. Frame length and
 * signing stay as they are unless named. For large data pipe `decryptStream` into `encryptStream`.
 * @returns a fresh array
 * @throws what `decrypt` and `encrypt` throw
 */
export async function reencrypt(given: Uint8Array, options: ReencryptOptions): Promise<Bytes> {
  checkOptions(options, ENCRYPT_OPTIONS, ["from", "to"]);
  const { from, to, context, requiredContext, suite, frameBytes, plaintextBytes, ...common } = options;
  const engine = defaultEngine();
  const message = unshared(checkMessage(given));
  const header = inspect(message);
  const opened = await openMessage(
    message,
    { ...common, keyring: from, ...(context === undefined ? {} : { context }) },
    engine,
  );
  try {
    const signs = suiteOf(opened.suite).signature !== undefined;
    const unstored = Object.keys(opened.context).filter((key) => !(key in header.context));
    const frames = frameBytes ?? (header.frameBytes === 0 ? undefined : header.frameBytes);
    return await sealMessage(
      opened.plaintext,
      {
        ...common,
        keyring: to,
        context: opened.context,
        suite: suite ?? (signs ? 0x0578 : 0x0478),
        requiredContext: requiredContext ?? unstored,
        ...(frames === undefined ? {} : { frameBytes: frames }),
        ...(plaintextBytes === undefined ? {} : { plaintextBytes }),
      },
      engine,
    );
  } finally {
    wipe(opened.plaintext);
  }
}
