/**
 * What goes where: data and results to stdout; progress, notes, errors and the summary of a piped verb to stderr.
 * With --json every result and error is one object on one line: dates ISO, bytes base64.
 */

import { Buffer } from "node:buffer";
import type { WriteStream } from "node:tty";
import Table from "cli-table3";
import { KeyladderError } from "../index.js";
import { contextText, harmless, oneLine } from "./text.js";

export interface OutputMode {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

type Sink = NodeJS.WritableStream & Partial<Pick<WriteStream, "isTTY" | "columns">>;

/** ANSI codes: on, off. */
const COLOURS = { red: [31, 39], yellow: [33, 39], dim: [2, 22] } as const;

/** One line of JSON: dates ISO, bytes base64, big integers as decimal text. */
export function toJsonLine(value: unknown): string {
  return JSON.stringify(value, function (this: unknown, key: string, given: unknown) {
    // Buffers turn themselves into {type, data} before a replacer sees them: ask the holder.
    const raw = (this as Record<string, unknown>)[key];
    if (raw instanceof Uint8Array) return Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString("base64");
    return typeof given === "bigint" ? given.toString() : given;
  });
}

/** An error as data: its code, message and typed fields; never its cause or stack. */
export function errorObject(error: unknown): Record<string, unknown> {
  if (!KeyladderError.is(error)) return { code: "ERR_INTERNAL", message: internalMessage(error) };
  const { code, message, retryable } = error;
  const fields = Object.fromEntries(Object.entries(error).filter(([name]) => name !== "cause"));
  return { ...fields, code, message, retryable };
}

/** What may be said of an error that is not ours: its class and system code, never its text. */
function internalMessage(error: unknown): string {
  const name = error instanceof Error ? error.name : typeof error;
  const code = (error as { code?: unknown } | null)?.code;
  return `a fault of keyladder itself (${name}${typeof code === "string" ? ` ${code}` : ""}). Please report it`;
}

export class Output {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly #noColour: boolean;
  mode: OutputMode = { json: false, quiet: false, verbose: false };

  constructor(stdout: Sink, stderr: Sink, env: NodeJS.ProcessEnv) {
    this.stdout = stdout;
    this.stderr = stderr;
    this.#noColour = (env.NO_COLOR ?? "") !== "" || env.TERM === "dumb";
  }

  /** A result: `text` for people, `value` with --json. To stderr where stdout carries data. */
  result(text: string, value: unknown, to: "stdout" | "stderr" = "stdout"): void {
    if (this.mode.json) this[to].write(`${toJsonLine(value)}\n`);
    else if (to === "stdout" || !this.mode.quiet) this[to].write(`${harmless(text)}\n`);
  }

  /** Something a person may like to know. Nothing with -q or --json. */
  note(text: string): void {
    if (!this.mode.quiet && !this.mode.json) this.stderr.write(`${harmless(text)}\n`);
  }

  /** Something a person should know, also with -q; with --json an object {"warning": …}. */
  warn(text: string): void {
    if (this.mode.json) this.stderr.write(`${toJsonLine({ warning: text })}\n`);
    else this.stderr.write(`${this.#paint("yellow", "warning")} ${harmless(text)}\n`);
  }

  /** A failure, one line, and a hint where the error carries one. `file` names the one of many that failed: no hint. */
  error(error: unknown, file?: string): void {
    const known = errorObject(error);
    if (this.mode.json) {
      this.stderr.write(`${toJsonLine({ error: file === undefined ? known : { ...known, file } })}\n`);
      return;
    }
    const where = file === undefined ? "" : `${oneLine(file)}: `;
    this.stderr.write(`${this.#paint("red", "error")} ${known.code}: ${where}${harmless(String(known.message))}\n`);
    if (file === undefined && typeof known.hint === "string")
      this.stderr.write(`${this.#paint("dim", "hint")} ${harmless(known.hint)}\n`);
    if (this.mode.verbose) this.#causes(error);
  }

  /** A table without borders, fitted to 80 columns or the terminal. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): string {
    const table = new Table({
      head: [...head],
      chars: NO_BORDERS,
      style: { head: [], border: [], "padding-left": 0, "padding-right": 2, compact: true },
    });
    for (const row of rows) table.push(row.map(oneLine));
    return table
      .toString()
      .split("\n")
      .map((line) => line.trimEnd())
      .join("\n");
  }

  /** Names and values under each other, the names padded to one width; long values wrap under themselves. */
  pairs(rows: readonly (readonly [string, string])[], indent = ""): string {
    const width = Math.max(...rows.map(([name]) => name.length)) + 2;
    const lead = indent + " ".repeat(width);
    const room = Math.max(24, Math.min(this.stdout.columns || 80, 100) - lead.length);
    return rows
      .map(([name, value]) => `${indent}${name.padEnd(width)}${wrap(oneLine(value), room).join(`\n${lead}`)}`.trimEnd())
      .join("\n");
  }

  /** Says which pairs anyone may read. */
  clearContext(context: Readonly<Record<string, string>>): string {
    const pairs = contextText(context);
    return pairs === "" ? "" : `  context, stored in clear: ${oneLine(pairs)}`;
  }

  /** System errors behind an error of ours: their code, which is safe to show. */
  #causes(error: unknown): void {
    let cause = (error as { cause?: unknown } | null)?.cause;
    for (let depth = 0; depth < 5 && cause instanceof Error; depth++) {
      const code = (cause as { code?: unknown }).code;
      this.stderr.write(`${this.#paint("dim", "cause")} ${cause.name}${typeof code === "string" ? ` ${code}` : ""}\n`);
      cause = cause.cause;
    }
  }

  #paint(colour: keyof typeof COLOURS, text: string): string {
    if (this.stderr.isTTY !== true || this.#noColour) return text;
    const [on, off] = COLOURS[colour];
    return `\u001b[${on}m${text}\u001b[${off}m`;
  }
}

const NO_BORDERS = Object.fromEntries(
  [
    "top",
    "top-mid",
    "top-left",
    "top-right",
    "bottom",
    "bottom-mid",
    "bottom-left",
    "bottom-right",
    "left",
    "left-mid",
    "mid",
    "mid-mid",
    "right",
    "right-mid",
    "middle",
  ].map((name) => [name, ""]),
);

/** Words in lines of at most `room` characters; a longer word keeps a line of its own. */
export function wrap(text: string, room: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
