/** Files: sealed and opened into a temporary name, made durable, then named. Node only. */

import { type FileHandle, open } from "node:fs/promises";
import { ioError, openAtomicFile } from "../atomic-file.js";
import { type Bytes, type TakeArray, unfilled, wipe } from "../bytes.js";
import { InputError } from "../errors.js";
import type { EncryptionContext } from "../message/context.js";
import { defaultEngine } from "../pool/default.js";
import { pathOf } from "./file-source.js";
import { FileWriter } from "./file-writer.js";
import { FrameOpener, type Opening, planOpening } from "./opening.js";
import { type DecryptOptions, type EncryptOptions, wholeNumber } from "./options.js";
import { FrameSealer, planSealing } from "./sealing.js";

export interface FileOptions {
  /** Replace an existing file. Default false: ERR_FILE_EXISTS. */
  readonly overwrite?: boolean;
  /** Permission bits of the new file. Default 0644 less the umask for messages, 0600 for opened plaintext. */
  readonly mode?: number;
  /** Told after each piece, in bytes of the source file. */
  readonly onProgress?: (progress: { doneBytes: number; totalBytes: number }) => void;
}

export interface FileResult {
  readonly plaintextBytes: number;
  readonly messageBytes: number;
  readonly keyId: string;
  readonly keyVersion?: number;
  readonly context: EncryptionContext;
}

const FILE_OPTIONS = ["overwrite", "mode", "onProgress"];
const READ_BYTES = 1024 * 1024;

/**
 * Seals a file into a message file.
 * @throws InputError ERR_FILE_EXISTS · StoreError ERR_IO · as `encrypt`; nothing is left behind
 */
export async function encryptFile(
  from: string | URL,
  to: string | URL,
  given: EncryptOptions & FileOptions,
): Promise<FileResult> {
  const options = { ...given };
  const plan = planSealing(options, FILE_OPTIONS);
  const { worker, ...counts } = await convert(
    pathOf(from, "from"),
    pathOf(to, "to"),
    { mode: 0o644, ...files(options) },
    options,
    (bytes, take) => new FrameSealer(plan, defaultEngine(), bytes, take),
  );
  const { keyId, keyVersion } = worker.sealedUnder;
  return {
    plaintextBytes: counts.read,
    messageBytes: counts.written,
    keyId,
    ...version(keyVersion),
    context: plan.context,
  };
}

/**
 * Opens a message file into a plaintext file, which appears only once all of it, signature included, is authentic.
 * @throws InputError ERR_FILE_EXISTS · StoreError ERR_IO · as `decrypt`; nothing is left behind
 */
export async function decryptFile(
  from: string | URL,
  to: string | URL,
  given: DecryptOptions & FileOptions,
): Promise<FileResult> {
  const options = { ...given };
  const plan = planOpening({ ...options, signed: options.signed ?? "verify-at-end" }, FILE_OPTIONS);
  const { worker, ...counts } = await convert(
    pathOf(from, "from"),
    pathOf(to, "to"),
    { mode: 0o600, ...files(options) },
    options,
    (_, take) => new FrameOpener(plan, defaultEngine(), undefined, take),
  );
  const { keyId, keyVersion, context } = worker.opening as Opening;
  return { plaintextBytes: counts.written, messageBytes: counts.read, keyId, ...version(keyVersion), context };
}

/** @throws InputError ERR_INPUT */
function files({ overwrite, mode, onProgress, out }: FileOptions & { out?: Uint8Array }): {
  overwrite?: boolean;
  mode?: number;
} {
  wholeNumber(mode, "mode", 0, 0o777, 0);
  if (out !== undefined) throw new InputError("ERR_INPUT", '"out" is for encrypt and decrypt, not for files');
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw new InputError("ERR_INPUT", '"onProgress" expected a function');
  }
  return { ...(overwrite === undefined ? {} : { overwrite }), ...(mode === undefined ? {} : { mode }) };
}

function version(keyVersion: number | undefined): { keyVersion?: number } {
  return keyVersion === undefined ? {} : { keyVersion };
}

/**
 * Reads `from`, writes what the worker makes of it, and gives it the name `to` only when all went well. The next read and
 * the writes before it are under way while a chunk is worked on.
 */
async function convert<Worker extends FrameSealer | FrameOpener>(
  from: string,
  to: string,
  target: { overwrite?: boolean; mode: number },
  { signal, onProgress }: { signal?: AbortSignal } & FileOptions,
  workerOf: (sourceBytes: number, take: TakeArray) => Worker,
): Promise<{ read: number; written: number; worker: Worker }> {
  signal?.throwIfAborted();
  const source = await open(from, "r").catch((error) => Promise.reject(ioError(error, `read ${from}`)));
  const reader = new FileReader(source, from);
  try {
    const totalBytes = (await source.stat()).size;
    const file = await openAtomicFile(to, target);
    const writer = new FileWriter(file.handle, to);
    const worker = workerOf(totalBytes, writer.take);
    const write = async (chunks: readonly Bytes[]): Promise<void> => {
      for (const chunk of chunks) await writer.write(chunk);
    };
    try {
      let read = 0;
      for (;;) {
        signal?.throwIfAborted();
        const chunk = await reader.next();
        if (chunk.length === 0) break;
        read += chunk.length;
        await write(await worker.update(chunk));
        onProgress?.({ doneBytes: read, totalBytes: Math.max(totalBytes, read) });
      }
      await write(await worker.final());
      await writer.finish();
      signal?.throwIfAborted();
      await file.commit();
      return { read, written: writer.writtenBytes, worker };
    } catch (error) {
      worker.wipe();
      await writer.settle();
      await file.discard();
      throw error;
    }
  } finally {
    await reader.settle();
    await source.close();
  }
}

/** Reads a file one chunk ahead, into two arrays by turns. */
class FileReader {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #arrays = [unfilled(READ_BYTES), unfilled(READ_BYTES)] as const;
  #turn = 0;
  #ahead: Promise<{ chunk: Bytes } | { error: unknown }> | undefined;

  constructor(handle: FileHandle, path: string) {
    this.#handle = handle;
    this.#path = path;
  }

  /** The next chunk, empty at the end; valid until the call after the next. @throws StoreError ERR_IO */
  async next(): Promise<Bytes> {
    const result = await (this.#ahead ?? this.#read());
    if ("error" in result) throw ioError(result.error, `read ${this.#path}`);
    if (result.chunk.length > 0) this.#ahead = this.#read();
    return result.chunk;
  }

  /** Nothing is read any more, and what was is zeroed. Never rejects. */
  async settle(): Promise<void> {
    await this.#ahead;
    wipe(...this.#arrays);
  }

  async #read(): Promise<{ chunk: Bytes } | { error: unknown }> {
    const array = this.#arrays[this.#turn++ % 2] as Bytes;
    try {
      const { bytesRead } = await this.#handle.read(array, 0, array.length);
      return { chunk: array.subarray(0, bytesRead) };
    } catch (error) {
      return { error };
    }
  }
}
