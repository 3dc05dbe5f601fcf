/** Files: sealed and opened into a temporary name, made durable, then named. Node only. */

import { type FileHandle, open } from "node:fs/promises";
import { ioError, openAtomicFile } from "../atomic-file.js";
import type { Bytes } from "../bytes.js";
import { InputError } from "../errors.js";
import type { EncryptionContext } from "../message/context.js";
import { defaultEngine } from "../pool/default.js";
import { pathOf } from "./file-source.js";
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
  let sealer: FrameSealer | undefined;
  const counts = await convert(
    pathOf(from, "from"),
    pathOf(to, "to"),
    { mode: 0o644, ...files(options) },
    options,
    (bytes) => {
      sealer = new FrameSealer(plan, defaultEngine(), bytes);
      return sealer;
    },
  );
  const { keyId, keyVersion } = (sealer as FrameSealer).sealedUnder;
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
  const opener = new FrameOpener(plan, defaultEngine());
  const counts = await convert(
    pathOf(from, "from"),
    pathOf(to, "to"),
    { mode: 0o600, ...files(options) },
    options,
    () => opener,
  );
  const { keyId, keyVersion, context } = opener.opening as Opening;
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

/** Reads `from`, writes what the worker makes of it, and gives it the name `to` only when all went well. */
async function convert(
  from: string,
  to: string,
  target: { overwrite?: boolean; mode: number },
  { signal, onProgress }: { signal?: AbortSignal } & FileOptions,
  workerOf: (sourceBytes: number) => FrameSealer | FrameOpener,
): Promise<{ read: number; written: number }> {
  signal?.throwIfAborted();
  const source = await open(from, "r").catch((error) => Promise.reject(ioError(error, `read ${from}`)));
  try {
    const totalBytes = (await source.stat()).size;
    const file = await openAtomicFile(to, target);
    const worker = workerOf(totalBytes);
    let written = 0;
    const write = async (chunks: Bytes[]): Promise<void> => {
      for (const chunk of chunks) {
        await writeAll(file.handle, chunk, to);
        written += chunk.length;
      }
    };
    const buffer = new Uint8Array(READ_BYTES);
    try {
      let read = 0;
      for (;;) {
        signal?.throwIfAborted();
        const bytes = await readSome(source, buffer, from);
        if (bytes === 0) break;
        read += bytes;
        await write(await worker.update(buffer.subarray(0, bytes)));
        onProgress?.({ doneBytes: read, totalBytes: Math.max(totalBytes, read) });
      }
      await write(await worker.final());
      signal?.throwIfAborted();
      await file.commit();
      return { read, written };
    } catch (error) {
      worker.wipe();
      await file.discard();
      throw error;
    } finally {
      buffer.fill(0);
    }
  } finally {
    await source.close();
  }
}

async function readSome(source: FileHandle, buffer: Uint8Array, path: string): Promise<number> {
  try {
    return (await source.read(buffer, 0, buffer.length)).bytesRead;
  } catch (error) {
    throw ioError(error, `read ${path}`);
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, path: string): Promise<void> {
  try {
    for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at)).bytesWritten;
  } catch (error) {
    throw ioError(error, `write ${path}`);
  }
}
