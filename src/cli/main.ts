#!/usr/bin/env node
/** The process: signals become an abort, failures become one line and an exit code, and every byte is flushed. */

import { type Command, CommanderError } from "commander";
import { ioError } from "../atomic-file.js";
import { EXIT, exitCodeOf, usageError } from "./exit-codes.js";
import { Output } from "./output.js";
import { buildProgram } from "./program.js";
import { refuseSecretArguments } from "./secrets.js";
import type { Session } from "./session.js";
import { isBrokenPipe } from "./streams.js";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The first signal asks everything to stop and clean up; a second one does not wait. */
function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  for (const name of SIGNALS) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(EXIT.interrupted);
      controller.abort(new DOMException(`interrupted by ${name}`, "AbortError"));
    });
  }
  return controller.signal;
}

/** Commander's complaint as ours: one line, and where to read on. */
function asUsageError(error: CommanderError, args: readonly string[], program: Command): Error {
  const [first = "wrong usage", ...rest] = error.message.replace(/^error: /, "").split("\n");
  const suggestion = rest.join(" ").trim();
  const command = program.commands.find((known) => args.includes(known.name()));
  const help = command === undefined ? "keyladder --help" : `keyladder ${command.name()} --help`;
  return usageError(suggestion === "" ? first : `${first} ${suggestion}`, help);
}

/** Runs one command line and says what to exit with. */
async function run(args: readonly string[], session: Session): Promise<number> {
  const program = buildProgram(session);
  try {
    refuseSecretArguments(args);
    await program.parseAsync(args, { from: "user" });
    return session.exitCode;
  } catch (error) {
    if (session.signal.aborted || isAbort(error)) {
      session.out.note("interrupted: nothing half-written is left");
      return EXIT.interrupted;
    }
    if (isBrokenPipe(error)) return EXIT.store;
    if (!(error instanceof CommanderError)) {
      session.out.error(error);
      return exitCodeOf(error);
    }
    if (error.exitCode === 0) return EXIT.ok;
    // A group without a command has printed its help.
    if (error.code !== "commander.help") session.out.error(asUsageError(error, args, program));
    return EXIT.usage;
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const out = new Output(process.stdout, process.stderr, process.env);
  // Known before the flags are parsed, for errors in parsing them.
  if (args.includes("--json")) out.mode = { ...out.mode, json: true };
  const session: Session = {
    out,
    stdin: process.stdin,
    env: process.env,
    signal: abortOnSignals(),
    exitCode: EXIT.ok,
  };
  let lost: unknown;
  for (const stream of [process.stdout, process.stderr]) {
    // A reader that went away ends us quietly. What else could not be written is told at the end.
    stream.on("error", (error) => {
      if (isBrokenPipe(error)) process.exit(EXIT.store);
      lost ??= error;
    });
  }
  const code = await run(args, session);
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => stream.write("", () => resolve()));
  }
  // An answer that was not written is no success, whatever the command made of itself.
  if (lost === undefined || code !== EXIT.ok) process.exit(code);
  out.error(ioError(lost, "write the output"));
  process.exit(EXIT.store);
}

void main();
