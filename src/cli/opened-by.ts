/** Which key a message is under, as its authenticated header says. Reads no further than the header. */

import { createReadStream } from "node:fs";
import { ioError } from "../atomic-file.js";
import {
  type DecryptOptions,
  decryptStream,
  KeyladderError,
  type Keyring,
  type UnwrappedDataKey,
  type Unwrapper,
} from "../index.js";

export interface OpenedBy {
  readonly keyId: string;
  readonly keyVersion?: number;
}

/** `unwrapper`, telling `see` which key opened. */
export function witness(unwrapper: Unwrapper, see: (opened: OpenedBy) => void): Unwrapper {
  return {
    async unwrapDataKey(request): Promise<UnwrappedDataKey | undefined> {
      const found = await unwrapper.unwrapDataKey(request);
      if (found !== undefined) see(found);
      return found;
    },
  };
}

/** `keyring`, telling `see` which key sealed. */
export function sealingWitness(keyring: Keyring, see: (sealed: OpenedBy) => void): Keyring {
  return {
    async generateDataKey(request) {
      const made = await keyring.generateDataKey(request);
      see(made);
      return made;
    },
    wrapDataKey: (request) => keyring.wrapDataKey(request),
    unwrapDataKey: (request) => keyring.unwrapDataKey(request),
  };
}

/** Key id and version alone, whatever else `found` carries. */
export function openedByOf({ keyId, keyVersion }: OpenedBy): OpenedBy {
  return keyVersion === undefined ? { keyId } : { keyId, keyVersion };
}

/** @throws what decryptStream throws for a header · StoreError ERR_IO */
export async function openedBy(
  path: string,
  from: Unwrapper,
  options: Omit<DecryptOptions, "keyring">,
): Promise<OpenedBy | undefined> {
  let seen: OpenedBy | undefined;
  const keyring = witness(from, (opened) => {
    seen = opened;
  });
  const opener = decryptStream({ ...options, keyring, signed: "verify-at-end" });
  let known = false;
  const header = opener.header.finally(() => {
    known = true;
  });
  const feeding = feed(path, opener.writable, () => known);
  const draining = drain(opener.readable);
  try {
    await Promise.race([header, feeding.then(() => header)]);
  } finally {
    known = true;
    await Promise.allSettled([feeding, draining]);
  }
  return seen;
}

/** Feeds the file until `enough`; what the stream refuses is told by its header. */
async function feed(path: string, sink: WritableStream<Uint8Array>, enough: () => boolean): Promise<void> {
  const writer = sink.getWriter();
  // The stream's failures arrive through its header promise.
  writer.closed.catch(() => undefined);
  try {
    for await (const chunk of createReadStream(path)) {
      if (enough()) break;
      await writer.write(chunk as Uint8Array);
    }
    if (enough()) await writer.abort();
    else await writer.close();
  } catch (error) {
    throw KeyladderError.is(error) ? error : ioError(error, `read ${path}`);
  }
}

/** Throws away what is released meanwhile, so that the header is reached. */
async function drain(readable: ReadableStream<Uint8Array>): Promise<void> {
  const reader = readable.getReader();
  while (!(await reader.read()).done);
}
