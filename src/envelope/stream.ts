/** Sealing and opening as Web TransformStreams, with backpressure; they go into Node's `pipeline` as they are. */

import type { Bytes } from "../bytes.js";
import { InputError } from "../errors.js";
import type { MessageHeader } from "../message/header.js";
import { defaultEngine } from "../pool/default.js";
import { publicHeader } from "./inspect.js";
import { FrameOpener, planOpening } from "./opening.js";
import type { DecryptOptions, EncryptOptions } from "./options.js";
import { FrameSealer, planSealing } from "./sealing.js";

/**
 * Plaintext in, one message out. The keyring is asked at the first chunk. Memory: one frame and the chunk in hand.
 * Chunks written are borrowed until the write settles; chunks read are fresh.
 * @throws InputError ERR_INPUT at once; the stream errors as `encrypt` throws
 */
export function encryptStream(options: EncryptOptions): TransformStream<Uint8Array, Bytes> {
  const plan = planSealing(options);
  refuseOut(plan.options);
  const sealer = new FrameSealer(plan, defaultEngine(), plan.options.plaintextBytes);
  return transform(sealer, plan.options.signal);
}

/**
 * One message in, verified plaintext out. A message that is cut short, followed by bytes, or not authentic errors the
 * stream: it never ends cleanly. What was released before came from verified frames, yet is incomplete.
 * @returns the stream; `header` settles once the header is authentic
 */
export function decryptStream(
  options: DecryptOptions,
): TransformStream<Uint8Array, Bytes> & { readonly header: Promise<MessageHeader> } {
  const plan = planOpening(options);
  refuseOut(plan.options);
  let settle: { resolve(header: MessageHeader): void; reject(reason: unknown): void } | undefined;
  const header = new Promise<MessageHeader>((resolve, reject) => {
    settle = { resolve, reject };
  });
  header.catch(() => undefined); // whoever awaits it sees the failure; whoever does not sees the stream's
  const opener = new FrameOpener(plan, defaultEngine(), (opening) => settle?.resolve(publicHeader(opening.header)));
  const stream = transform(opener, plan.options.signal, (reason) => settle?.reject(reason));
  return Object.assign(stream, { header });
}

function transform(
  worker: FrameSealer | FrameOpener,
  signal: AbortSignal | undefined,
  onFailure: (reason: unknown) => void = () => undefined,
): TransformStream<Uint8Array, Bytes> {
  let unlisten: () => void = () => undefined;
  const fail = (reason: unknown): void => {
    unlisten();
    worker.wipe();
    onFailure(reason);
  };
  const run = async (work: () => Promise<Bytes[]>, controller: TransformStreamDefaultController<Bytes>) => {
    try {
      for (const chunk of await work()) controller.enqueue(chunk);
    } catch (error) {
      fail(error);
      throw error;
    }
  };
  const transformer: Transformer<Uint8Array, Bytes> & { cancel(reason: unknown): void } = {
    start(controller) {
      if (signal === undefined) return;
      const abort = () => {
        fail(signal.reason);
        controller.error(signal.reason);
      };
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort, { once: true });
      unlisten = () => signal.removeEventListener("abort", abort);
    },
    transform: (chunk, controller) => run(() => worker.update(checkChunk(chunk)), controller),
    async flush(controller) {
      await run(() => worker.final(), controller);
      unlisten();
    },
    cancel: fail, // where the platform knows it: whoever reads has stopped
  };
  return new TransformStream(transformer);
}

/** @throws InputError ERR_INPUT */
function refuseOut({ out }: EncryptOptions | DecryptOptions): void {
  if (out !== undefined)
    throw new InputError("ERR_INPUT", '"out" is for encrypt and decrypt: a stream makes its chunks');
}

function checkChunk(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  throw new InputError("ERR_INPUT", "the stream expected Uint8Array chunks (text? pipe it through TextEncoderStream)");
}
