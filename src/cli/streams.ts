/** Bytes through a transform with backpressure: from stdin or a file, to stdout or a file that appears whole or not at all. */

import { createReadStream } from "node:fs";
import { type Readable, Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { errnoOf, ioError, openAtomicFile } from "../atomic-file.js";
import { errors, KeyladderError } from "../index.js";
import { usageError } from "./exit-codes.js";
import { refuseTarget } from "./files.js";
import type { Session } from "./session.js";

export type ByteTransform = TransformStream<Uint8Array, Uint8Array>;
/**
 * A stage that is a function: no stream of its own, so that a chunk costs less. What it yields is borrowed until the one
 * after the next is asked for: one chunk is written while the next is made, in two pieces of memory.
 */
export type ByteStage = (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

export interface Pumped {
  readonly inputBytes: number;
  readonly outputBytes: number;
}

/**
 * A Web transform where `pipeline` is to take it: Node takes them as they are (since 18.16), its types do not say so.
 */
export function nodeStage(transform: ByteTransform): NodeJS.ReadWriteStream {
  return transform as unknown as NodeJS.ReadWriteStream;
}

/** A stage that lets `see` look at each chunk that passes. */
export function tap(see: (chunk: Uint8Array) => void): Transform {
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      see(chunk);
      done(null, chunk);
    },
  });
}

/** The reader of the other end of our pipe has gone: not worth a word. */
export function isBrokenPipe(error: unknown): boolean {
  return errnoOf(error) === "EPIPE" || errnoOf(error) === "ERR_STREAM_PREMATURE_CLOSE";
}

/** A sink over a file handle: `write` resolves when the bytes are handed over, so the pipeline waits for the disk. */
export function handleSink(handle: { write(chunk: Uint8Array): Promise<{ bytesWritten: number }> }): Writable {
  return new Writable({
    write(chunk: Uint8Array, _encoding, done) {
      writeAll(chunk).then(() => done(), done);
    },
  });
  async function writeAll(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk.subarray(at))).bytesWritten;
  }
}

/** One chunk is written while the next is made. */
async function pumpStage(
  source: NodeJS.ReadableStream,
  stage: ByteStage,
  sink: NodeJS.WritableStream,
  signal: AbortSignal,
): Promise<void> {
  const stop = () => (source as Readable).destroy(signal.reason as Error);
  signal.addEventListener("abort", stop);
  const broken = new Promise<never>((_resolve, reject) => sink.once("error", reject));
  broken.catch(() => undefined); // told by the write that fails, or by nobody: then there was no more to write
  try {
    let writing: Promise<void> = Promise.resolve();
    for await (const chunk of stage(source as AsyncIterable<Uint8Array>)) {
      signal.throwIfAborted();
      await Promise.race([broken, writing]);
      writing = written(sink, chunk);
      writing.catch(() => undefined); // told where it is awaited
    }
    await Promise.race([broken, writing]);
    if (sink !== process.stdout) await Promise.race([broken, new Promise<void>((done) => sink.end(done))]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function written(sink: NodeJS.WritableStream, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    sink.write(chunk, (error) => (error == null ? resolve() : reject(error)));
  });
}

/**
 * Drives `source` through `transform` into `sink`; rejects with the first failure, or the signal's reason. A stage that
 * is a function counts for itself.
 */
export async function pump(
  source: NodeJS.ReadableStream,
  transform: ByteTransform | ByteStage,
  sink: NodeJS.WritableStream,
  signal: AbortSignal,
): Promise<Pumped> {
  let inputBytes = 0;
  let outputBytes = 0;
  // stdout stays open: what ends it is the end of the process, after everything is flushed.
  const options = { signal, end: sink !== process.stdout };
  try {
    if (typeof transform === "function") await pumpStage(source, transform, sink, signal);
    else
      await pipeline(
        source,
        tap((chunk) => {
          inputBytes += chunk.length;
        }),
        nodeStage(transform),
        tap((chunk) => {
          outputBytes += chunk.length;
        }),
        sink,
        options,
      );
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
  return { inputBytes, outputBytes };
}

export interface PumpTarget {
  /** undefined and "-" mean stdout. */
  readonly output: string | undefined;
  readonly force: boolean;
  readonly mode: number;
}

/** What a summary calls the output of a piped verb. */
export function outputName(output: string | undefined): string {
  return output === undefined || output === "-" ? "stdout" : output;
}

/** Where a piped verb writes: refuses binary on a terminal unless `-o -` asks for it. */
export function refuseTerminal(session: Session, output: string | undefined): void {
  if (output === undefined && session.out.stdout.isTTY === true) {
    throw usageError("binary output is not written to a terminal", "-o FILE, a pipe, or -o - to do it all the same");
  }
}

/** The bytes to work on: stdin, or a file. A terminal is refused: nobody types a message. */
export function sourceOf(session: Session, file: string | undefined): NodeJS.ReadableStream {
  if (file !== undefined && file !== "-") return createReadStream(file, { highWaterMark: 256 * 1024 });
  if (session.stdin.isTTY) throw usageError("nothing to read: name a FILE, or pipe data in", "--help shows examples");
  return session.stdin;
}

/** The library's advice is for code; this one is for a command line. */
function signedStream(cause: KeyladderError): Error {
  const message = "the message is signed: stdout would carry plaintext before the signature is seen";
  return new errors.DecryptError("ERR_SIGNED_STREAM", message, {
    cause,
    hint: "-o FILE: it appears only once verified",
  });
}

/** `pump` into the target. A file is complete and durable when this resolves, and absent when it rejects. */
export async function pumpTo(
  session: Session,
  file: string | undefined,
  transform: ByteTransform | ByteStage,
  target: PumpTarget,
): Promise<Pumped> {
  const source = sourceOf(session, file);
  const doing = `read ${file ?? "stdin"}`;
  if (target.output === undefined || target.output === "-") {
    try {
      return await pump(source, transform, session.out.stdout, session.signal);
    } catch (error) {
      if (KeyladderError.is(error, "ERR_SIGNED_STREAM")) throw signedStream(error);
      if (errnoOf(error) === undefined || isBrokenPipe(error)) throw error;
      throw ioError(error, (error as NodeJS.ErrnoException).syscall === "write" ? "write stdout" : doing);
    }
  }
  await refuseTarget(target.output, target.force);
  const atomic = await openAtomicFile(target.output, { overwrite: target.force, mode: target.mode });
  let pumped: Pumped;
  try {
    pumped = await pump(source, transform, handleSink(atomic.handle), session.signal);
  } catch (error) {
    await atomic.discard();
    throw errnoOf(error) === undefined ? error : ioError(error, `${doing} or write ${target.output}`);
  }
  await atomic.commit();
  return pumped;
}
