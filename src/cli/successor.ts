/**
 * A new message file from an old one, in one streaming pass. It gets its name only after it was read back, opened, and
 * found to hold the same bytes; until then the old file is untouched.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import { createReadStream, type Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { errnoOf, ioError, openAtomicFile } from "../atomic-file.js";
import {
  type DecryptOptions,
  decryptStream,
  type EncryptionContext,
  encryptStream,
  errors,
  type Keyring,
  type MessageHeader,
  type Unwrapper,
} from "../index.js";
import type { FileJob } from "./files.js";
import { type Progress, progressOf } from "./progress.js";
import type { Session } from "./session.js";
import { handleSink, nodeStage, tap } from "./streams.js";

export interface Masters {
  /** Opens the old message. */
  readonly from: Unwrapper;
  /** Seals the new one, and opens it to check. */
  readonly to: Keyring;
}

export interface SuccessorOptions {
  readonly overwrite: boolean;
  readonly sign: boolean;
  /** What is demanded of the old message. */
  readonly open: Omit<DecryptOptions, "keyring">;
}

export interface Successor {
  readonly plaintextBytes: number;
  readonly messageBytes: number;
  readonly context: EncryptionContext;
}

const READ_BYTES = 256 * 1024;
/** Suites that end in a signature: their successors are signed too. */
const SIGNED_SUITES: readonly number[] = [0x0578, 0x0378, 0x0346, 0x0214];
const RESERVED_PREFIX = "aws-crypto-";

/** The pairs that go on into the new message: all but the old signature's public key. */
function keptContext(header: MessageHeader): EncryptionContext {
  return Object.fromEntries(Object.entries(header.context).filter(([key]) => !key.startsWith(RESERVED_PREFIX)));
}

/** Digest and length of everything seen. */
function meter(): { see: (chunk: Uint8Array) => void; digest(): Buffer; readonly bytes: number } {
  const hash = createHash("sha256");
  let bytes = 0;
  return {
    see(chunk) {
      hash.update(chunk);
      bytes += chunk.length;
    },
    digest: () => hash.digest(),
    get bytes() {
      return bytes;
    },
  };
}

/**
 * `header` is the old message's, not yet authenticated: the pass itself fails where it is not genuine.
 * @throws what decryptStream and encryptStream throw · StoreError ERR_IO (also where the file changed meanwhile, or the
 * new message does not open to the same bytes)
 */
export async function writeSuccessor(
  session: Session,
  job: FileJob,
  header: MessageHeader,
  masters: Masters,
  options: SuccessorOptions,
): Promise<Successor> {
  const before = await statOf(job.from);
  const context = keptContext(header);
  const file = await openAtomicFile(job.to, { overwrite: options.overwrite, mode: before.mode & 0o777 });
  const progress = progressOf(job.from, session.out);
  try {
    const plain = meter();
    await seal(session, job, header, masters, options, { plain, sink: handleSink(file.handle), progress, before });
    await checkSuccessor(session, file.temporary, masters.to, context, plain);
    await refuseChanged(job.from, before);
    const messageBytes = (await file.handle.stat()).size;
    session.signal.throwIfAborted();
    await file.commit();
    return { plaintextBytes: plain.bytes, messageBytes, context };
  } catch (error) {
    await file.discard();
    session.signal.throwIfAborted();
    throw errnoOf(error) === undefined ? error : ioError(error, `reencrypt ${job.from}`);
  } finally {
    progress.stop();
  }
}

interface Sealing {
  readonly plain: ReturnType<typeof meter>;
  readonly sink: Writable;
  readonly progress: Progress;
  readonly before: Stats;
}

/** Old file -> opened -> sealed anew -> sink. */
async function seal(
  session: Session,
  job: FileJob,
  header: MessageHeader,
  masters: Masters,
  options: SuccessorOptions,
  { plain, sink, progress, before }: Sealing,
): Promise<void> {
  let doneBytes = 0;
  const opener = decryptStream({ ...options.open, keyring: masters.from, signed: "verify-at-end" });
  const sealer = encryptStream({
    keyring: masters.to,
    context: keptContext(header),
    suite: options.sign || SIGNED_SUITES.includes(header.suite) ? 0x0578 : 0x0478,
    signal: session.signal,
    ...(header.frameBytes === 0 ? {} : { frameBytes: header.frameBytes }),
  });
  const source = createReadStream(job.from, { highWaterMark: READ_BYTES });
  const counted = tap((chunk) => {
    doneBytes += chunk.length;
    progress.update(doneBytes, before.size);
  });
  await pipeline(source, counted, nodeStage(opener), tap(plain.see), nodeStage(sealer), sink, {
    signal: session.signal,
  });
  const genuine = await opener.header;
  if (genuine.messageId.some((byte, i) => byte !== header.messageId[i])) throw changed(job.from);
}

/** Opens what was written, from the disk, and compares it with what was read. */
async function checkSuccessor(
  session: Session,
  path: string,
  keyring: Unwrapper,
  context: EncryptionContext,
  plain: ReturnType<typeof meter>,
): Promise<void> {
  const again = meter();
  const opener = decryptStream({ keyring, context, signal: session.signal, signed: "verify-at-end" });
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const source = createReadStream(path, { highWaterMark: READ_BYTES });
  await pipeline(source, nodeStage(opener), tap(again.see), nowhere, { signal: session.signal });
  if (again.bytes === plain.bytes && timingSafeEqual(again.digest(), plain.digest())) return;
  throw new errors.StoreError(
    "ERR_IO",
    "the new message does not open to the same bytes: the disk returned other data",
  );
}

async function statOf(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (error) {
    throw ioError(error, `read ${path}`);
  }
}

async function refuseChanged(path: string, before: Stats): Promise<void> {
  const now = await statOf(path);
  if (now.ino !== before.ino || now.size !== before.size || now.mtimeMs !== before.mtimeMs) throw changed(path);
}

function changed(path: string): Error {
  return new errors.StoreError("ERR_IO", `${path} changed while it was read: it is left as it is`, { retryable: true });
}
