/** keyladder inspect: what a message says about itself, without any key. */

import { open } from "node:fs/promises";
import type { Command } from "commander";
import { errnoOf, ioError } from "../atomic-file.js";
import { inspect, KeyladderError, type MessageHeader } from "../index.js";
import { describeDataKey } from "./data-keys.js";
import { EXIT, EXIT_CODES_HELP } from "./exit-codes.js";
import type { Session } from "./session.js";
import { sourceOf } from "./streams.js";
import { bytesText, contextText, oneLine } from "./text.js";

const FIRST_READ_BYTES = 64 * 1024;
/** A header of 64 data keys stays far below; whoever needs more opens the message with the library. */
const MAX_HEADER_READ_BYTES = 16 * 1024 * 1024;

const SUITE_NAMES: Readonly<Record<string, string>> = {
  "0x0478": "AES-256-GCM, HKDF-SHA-512, key commitment",
  "0x0578": "AES-256-GCM, HKDF-SHA-512, key commitment, ECDSA P-384",
};

export function registerInspect(program: Command, session: Session): void {
  program
    .command("inspect")
    .summary("show a message's header; needs no key")
    .description("Show what messages say about themselves. Needs no key, so nothing of it is authenticated.")
    .argument("[FILE...]", "messages; none or - is stdin")
    .addHelpText("after", `\nExample:\n  keyladder inspect --json FILE.encrypted\n\n${EXIT_CODES_HELP}`)
    .action((files: string[]) => inspectAll(session, files.length === 0 ? ["-"] : files));
}

async function inspectAll(session: Session, files: readonly string[]): Promise<void> {
  let failed = 0;
  for (const file of files) {
    try {
      const header = await headerOf(session, file);
      session.out.result(headerText(session, file, header), headerObject(header, files.length > 1 ? file : undefined));
    } catch (error) {
      session.signal.throwIfAborted();
      if (files.length === 1) throw error;
      session.out.error(error, file);
      failed++;
    }
  }
  if (failed > 0) session.exitCode = EXIT.someFailed;
}

/** The header of a message in a file, or on stdin; reads no more than it needs, doubling. */
export async function headerOf(session: Session, file: string): Promise<MessageHeader> {
  const read = file === "-" ? streamReader(sourceOf(session, "-")) : await fileReader(file);
  try {
    for (let wanted = FIRST_READ_BYTES; ; wanted *= 2) {
      const prefix = await read.prefix(wanted);
      try {
        return inspect(prefix);
      } catch (error) {
        const more = prefix.length >= wanted && wanted < MAX_HEADER_READ_BYTES;
        if (!more || !KeyladderError.is(error, "ERR_TRUNCATED")) throw error;
      }
    }
  } finally {
    await read.close();
  }
}

interface PrefixReader {
  /** The first `bytes` bytes, fewer where the input ends. */
  prefix(bytes: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

async function fileReader(file: string): Promise<PrefixReader> {
  try {
    const handle = await open(file, "r");
    return {
      async prefix(bytes) {
        const buffer = new Uint8Array(bytes);
        let length = 0;
        while (length < bytes) {
          const { bytesRead } = await handle.read(buffer, length, bytes - length, length).catch((error: unknown) => {
            throw ioError(error, `read ${file}`);
          });
          if (bytesRead === 0) break;
          length += bytesRead;
        }
        return buffer.subarray(0, length);
      },
      close: () => handle.close(),
    };
  } catch (error) {
    throw errnoOf(error) === undefined ? error : ioError(error, `read ${file}`);
  }
}

function streamReader(source: NodeJS.ReadableStream): PrefixReader {
  const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let held = new Uint8Array(0);
  return {
    async prefix(bytes) {
      while (held.length < bytes) {
        const next = await chunks.next();
        if (next.done === true) break;
        const joined = new Uint8Array(held.length + next.value.length);
        joined.set(held);
        joined.set(next.value, held.length);
        held = joined;
      }
      return held.subarray(0, bytes);
    },
    async close() {
      await chunks.return?.();
    },
  };
}

function suiteText(suite: number): string {
  return `0x${suite.toString(16).padStart(4, "0")}`;
}

function headerObject(header: MessageHeader, file: string | undefined): Record<string, unknown> {
  return {
    ...(file === undefined ? {} : { file }),
    version: header.version,
    suite: suiteText(header.suite),
    context: header.context,
    encryptedDataKeys: header.encryptedDataKeys.map((key) => describeDataKey(key).fields),
    frameBytes: header.frameBytes,
    headerBytes: header.headerBytes,
    messageId: header.messageId,
    authenticated: false,
  };
}

function headerText(session: Session, file: string, header: MessageHeader): string {
  const suite = suiteText(header.suite);
  const named = SUITE_NAMES[suite];
  const pairs = contextText(header.context);
  const rows: (readonly [string, string])[] = [
    ["format", `version ${header.version}, suite ${suite}${named === undefined ? "" : ` (${named})`}`],
    ["message id", Buffer.from(header.messageId).toString("base64")],
    ["header", `${header.headerBytes} bytes`],
    ["frames", header.frameBytes === 0 ? "none: one body" : `${bytesText(header.frameBytes)} each`],
    ["context", pairs === "" ? "none" : `${pairs}  (stored in clear)`],
    ...header.encryptedDataKeys.map((key) => ["data key", describeDataKey(key).text] as const),
  ];
  const title = file === "-" ? "stdin" : oneLine(file);
  return `${title}\n${session.out.pairs(rows, "  ")}\n  not authenticated: whoever wrote this file could have written anything here`;
}
