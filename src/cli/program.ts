/** The command line as a whole: global flags, commands, help. */

import { readFileSync } from "node:fs";
import { Command } from "commander";
import { parseDescriptor } from "./arguments.js";
import { registerCompletion } from "./completion.js";
import { registerDecrypt } from "./decrypt.js";
import { registerDoctor } from "./doctor.js";
import { registerEncrypt } from "./encrypt.js";
import { EXIT_CODES_HELP } from "./exit-codes.js";
import { registerExplain } from "./explain.js";
import { registerInit } from "./init.js";
import { registerInspect } from "./inspect.js";
import { registerKey } from "./key.js";
import { registerRecords } from "./records.js";
import { registerReencrypt } from "./reencrypt.js";
import { globalFlags, type Session } from "./session.js";
import { registerStatus } from "./status.js";

function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** Applies to a command and all below it: errors are thrown, not printed. */
function quieten(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => undefined });
  for (const sub of command.commands) quieten(sub);
}

/** Usage errors reject from `parseAsync` with commander's CommanderError; everything else with our errors. */
export function buildProgram(session: Session): Command {
  const program = new Command("keyladder")
    .description("Envelope encryption with the master keys in a token: DEK <- KEK <- CMK <- HMK.")
    .version(packageVersion(), "-V, --version", "print the version")
    .option("-L, --ladder <DIR>", "the ladder's folder")
    .option("--json", "one JSON object per result, and per error on stderr")
    .option("-q, --quiet", "no progress, no notes")
    .option("-v, --verbose", "the causes of errors too")
    .option("--passphrase-fd <N>", "read the passphrase from this file descriptor", parseDescriptor)
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError(true);
  program.hook("preAction", (_program, command) => {
    const { json, quiet, verbose } = globalFlags(command);
    session.out.mode = { json: json === true, quiet: quiet === true, verbose: verbose === true };
  });
  registerInit(program, session);
  registerDoctor(program, session);
  registerStatus(program, session);
  registerKey(program, session);
  registerEncrypt(program, session);
  registerDecrypt(program, session);
  registerInspect(program, session);
  registerReencrypt(program, session);
  registerRecords(program, session);
  registerExplain(program, session);
  registerCompletion(program, session);
  program.addHelpText(
    "after",
    `
First steps:
  keyladder init
  keyladder key create orders --rotation-period 90d
  keyladder encrypt -k orders -c tenant=acme invoices.csv
  keyladder decrypt -c tenant=acme invoices.csv.encrypted

The ladder's folder: -L, else KEYLADDER_HOME, else $XDG_DATA_HOME/keyladder,
else ~/.local/share/keyladder. The passphrase: --passphrase-fd,
KEYLADDER_PASSPHRASE, KEYLADDER_PASSPHRASE_FILE, keyladder.json, else you are
asked; never an argument.

${EXIT_CODES_HELP}`,
  );
  quieten(program);
  return program;
}
