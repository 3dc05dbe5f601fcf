/**
 * Where the token's passphrase comes from: a file descriptor, the environment, a file, a prompt. Never an argument:
 * the process list shows arguments to every user of the machine.
 */

import { createReadStream, fstatSync, openSync } from "node:fs";
import { open } from "node:fs/promises";
import { ReadStream, WriteStream } from "node:tty";
import { errnoOf, ioError } from "../atomic-file.js";
import { usageError } from "./exit-codes.js";

/** More than any passphrase; a bound so that a wrong file is not read whole. */
const MAX_PASSPHRASE_BYTES = 4096;

export interface PassphraseOptions {
  /** --passphrase-fd N. */
  readonly fd?: number;
  readonly env: NodeJS.ProcessEnv;
  /** The file that keyladder.json refers to, absolute. */
  readonly file?: string;
  /** Ask a person where nothing else is given: once, or twice for a new token. */
  readonly prompt?: { readonly twice: boolean; readonly signal: AbortSignal };
}

/** A passphrase not yet read: `source` names where it will come from, `read` gets it (fresh bytes, the caller wipes). */
export interface Passphrase {
  readonly source: string;
  read(): Promise<Uint8Array>;
}

/** The first source that is given: --passphrase-fd, KEYLADDER_PASSPHRASE, KEYLADDER_PASSPHRASE_FILE, keyladder.json, a prompt. */
export function passphraseFrom(options: PassphraseOptions): Passphrase {
  const { fd, env, file, prompt } = options;
  if (fd !== undefined) return { source: `--passphrase-fd ${fd}`, read: () => readDescriptor(fd) };
  const inline = env.KEYLADDER_PASSPHRASE;
  if (inline !== undefined && inline !== "") {
    return { source: "KEYLADDER_PASSPHRASE", read: async () => new TextEncoder().encode(inline) };
  }
  const named = env.KEYLADDER_PASSPHRASE_FILE;
  if (named !== undefined && named !== "") {
    return { source: `KEYLADDER_PASSPHRASE_FILE (${named})`, read: () => readPassphraseFile(named) };
  }
  if (file !== undefined) return { source: `keyladder.json (${file})`, read: () => readPassphraseFile(file) };
  if (prompt !== undefined) return { source: "a prompt", read: () => ask(prompt.twice, prompt.signal) };
  return { source: "nothing", read: () => Promise.reject(noPassphrase()) };
}

function noPassphrase(): Error {
  return usageError(
    "no passphrase for the software token, and no terminal to ask on",
    "--passphrase-fd N, KEYLADDER_PASSPHRASE_FILE or KEYLADDER_PASSPHRASE; or a key file: keyladder init --key-file FILE",
  );
}

/** One line of bytes: one line break at the end is dropped. The array given is borrowed; the result is fresh. */
function onlyLine(bytes: Uint8Array, from: string): Uint8Array {
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end--;
  if (bytes[end - 1] === 0x0d) end--;
  const line = bytes.slice(0, end);
  if (line.length === 0) throw usageError(`the passphrase from ${from} is empty`);
  if (line.includes(0x0a)) {
    line.fill(0);
    throw usageError(`the passphrase from ${from} has more than one line`);
  }
  return line;
}

async function readAll(chunks: AsyncIterable<Uint8Array>, from: string): Promise<Uint8Array> {
  const all = new Uint8Array(MAX_PASSPHRASE_BYTES);
  let length = 0;
  try {
    for await (const chunk of chunks) {
      if (length + chunk.length > all.length) {
        throw usageError(`the passphrase from ${from} exceeds ${MAX_PASSPHRASE_BYTES} bytes`);
      }
      all.set(chunk, length);
      length += chunk.length;
      chunk.fill(0);
    }
    return onlyLine(all.subarray(0, length), from);
  } finally {
    all.fill(0);
  }
}

async function readDescriptor(fd: number): Promise<Uint8Array> {
  const from = `file descriptor ${fd}`;
  try {
    // What the runtime holds for itself under that number is none of these.
    const info = fstatSync(fd);
    if (info.isFIFO() || info.isFile() || info.isSocket() || info.isCharacterDevice()) {
      return await readAll(createReadStream("", { fd, autoClose: fd > 2 }), from);
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
  throw usageError(`${from} is not open for reading`, `keyladder … --passphrase-fd ${fd} ${fd}< FILE`);
}

async function readPassphraseFile(path: string): Promise<Uint8Array> {
  try {
    const handle = await open(path, "r");
    try {
      if (process.platform !== "win32" && ((await handle.stat()).mode & 0o002) !== 0) {
        throw usageError(`the passphrase file ${path} can be written by every user: chmod 600 it`);
      }
      return await readAll(handle.createReadStream({ autoClose: false }), path);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw errnoOf(error) === undefined ? error : ioError(error, `read the passphrase file ${path}`);
  }
}

/** The terminal, also where stdin and stdout are pipes. Undefined where there is none. */
function terminal(): { input: ReadStream; output: WriteStream; close(): void } | undefined {
  const { stdin, stderr } = process;
  if (stdin.isTTY && stderr.isTTY) return { input: stdin, output: stderr, close: () => stdin.pause() };
  if (process.platform === "win32") return undefined;
  try {
    const input = new ReadStream(openSync("/dev/tty", "r"));
    const output = new WriteStream(openSync("/dev/tty", "w"));
    return {
      input,
      output,
      close() {
        input.destroy();
        output.destroy();
      },
    };
  } catch (cause) {
    // ENXIO, ENOENT, ENOTTY: no controlling terminal. Anything else means the same to the person: nobody to ask.
    if (cause instanceof Error) return undefined;
    throw cause;
  }
}

async function ask(twice: boolean, signal: AbortSignal): Promise<Uint8Array> {
  const tty = terminal();
  if (tty === undefined) throw noPassphrase();
  const { password, isCancel } = await import("@clack/prompts");
  const once = async (message: string): Promise<string> => {
    const given = await password({
      message,
      input: tty.input,
      output: tty.output,
      signal,
      mask: "*",
      withGuide: false,
    });
    // Ctrl-C in raw mode arrives as a key, not as a signal.
    if (isCancel(given)) {
      signal.throwIfAborted();
      throw new DOMException("interrupted at the prompt", "AbortError");
    }
    return given ?? "";
  };
  try {
    const first = await once("Passphrase for the software token");
    if (first === "") throw usageError("the passphrase is empty");
    if (twice && (await once("The same again")) !== first)
      throw usageError("the two passphrases differ: nothing was made");
    return new TextEncoder().encode(first);
  } finally {
    tty.close();
  }
}

const SECRET_FLAG = /^--(passphrase|password|pin|otp|key-bytes|secret)(=|$)/;

/** Refuses a secret on the command line, without repeating it. */
export function refuseSecretArguments(args: readonly string[]): void {
  const end = args.indexOf("--");
  const flags = end < 0 ? args : args.slice(0, end);
  const found = flags.find((arg) => SECRET_FLAG.test(arg));
  if (found === undefined) return;
  throw usageError(
    `${found.split("=", 1)[0]}: a secret is never an argument; every user of this machine can read the arguments, and the shell keeps them`,
    "--passphrase-fd 3 3< FILE, or KEYLADDER_PASSPHRASE_FILE=FILE, or be asked. If you typed a real one, change it",
  );
}
