/** Several masters for one message: each can open it (AWS Encryption SDK: multi-keyring). */

import type { DataKey } from "../engine/data-key.js";
import { InputError, KeyladderError } from "../errors.js";
import type { EncryptedDataKey } from "../message/header.js";
import type { GeneratedDataKey, Keyring, UnwrappedDataKey, UnwrapRequest, WrapRequest } from "./port.js";

/**
 * `generator` makes the data key, every child wraps it too. To open, generator and children are tried in that order;
 * one that fails does not stop the next. A message from any holder of one of the keys opens: it does not tell its sender.
 * @throws InputError ERR_INPUT
 */
export function multiKeyring(generator: Keyring, ...children: Keyring[]): Keyring {
  for (const keyring of [generator, ...children]) checkKeyring(keyring);
  return {
    async generateDataKey(request: WrapRequest): Promise<GeneratedDataKey> {
      const generated = await generator.generateDataKey(request);
      try {
        const encryptedDataKeys = [...generated.encryptedDataKeys];
        for (const child of children) {
          encryptedDataKeys.push(await child.wrapDataKey({ ...request, dataKey: generated.dataKey }));
        }
        return { ...generated, encryptedDataKeys };
      } catch (error) {
        generated.dataKey[Symbol.dispose]();
        throw error;
      }
    },

    /** One wrapped copy only: the generator's. To add every master, make the message under this keyring. */
    wrapDataKey(request: WrapRequest & { readonly dataKey: DataKey }): Promise<EncryptedDataKey> {
      return generator.wrapDataKey(request);
    },

    async unwrapDataKey(request: UnwrapRequest): Promise<UnwrappedDataKey | undefined> {
      const failures: unknown[] = [];
      for (const keyring of [generator, ...children]) {
        try {
          const unwrapped = await keyring.unwrapDataKey(request);
          if (unwrapped !== undefined) return unwrapped;
        } catch (error) {
          request.signal?.throwIfAborted();
          failures.push(error);
        }
      }
      if (failures.length === 0) return undefined;
      // What can be mended (a key suspended, an HSM away) says more than the uniform failure of a wrong key.
      throw failures.find((error) => !KeyladderError.is(error, "ERR_DECRYPT")) ?? failures[0];
    },
  };
}

/** @throws InputError ERR_INPUT where `keyring` cannot wrap */
export function checkKeyring(keyring: unknown): asserts keyring is Keyring {
  const port = keyring as Partial<Keyring> | undefined | null;
  if (
    typeof port?.generateDataKey !== "function" ||
    typeof port.wrapDataKey !== "function" ||
    typeof port.unwrapDataKey !== "function"
  ) {
    throw new InputError("ERR_INPUT", '"keyring" expected a keyring that can wrap data keys');
  }
}
