/** What every command shares: the output, the abort signal, the global flags, and the ladder opened once. */

import type { Command } from "commander";
import { type Ladder, openLadder } from "../index.js";
import { configPaths, ladderFolder, ladderOptions, readConfig, type Setting } from "./config.js";
import type { Output } from "./output.js";
import { type Passphrase, passphraseFrom } from "./secrets.js";

/** The process as a command sees it. */
export interface Session {
  readonly out: Output;
  readonly stdin: NodeJS.ReadStream;
  readonly env: NodeJS.ProcessEnv;
  /** Aborted by SIGINT, SIGTERM and SIGHUP. */
  readonly signal: AbortSignal;
  /** What the process will exit with, where no error decides it. */
  exitCode: number;
}

export interface GlobalFlags {
  readonly ladder?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly passphraseFd?: number;
}

export function globalFlags(command: Command): GlobalFlags {
  return command.optsWithGlobals<GlobalFlags>();
}

export function folderOf(session: Session, flags: GlobalFlags): Setting {
  return ladderFolder(flags.ladder, session.env);
}

/** Where the passphrase will come from; `twice` asks a person a second time. */
export function passphraseOf(
  session: Session,
  flags: GlobalFlags,
  options: { readonly file: string | undefined; readonly twice: boolean },
): Passphrase {
  return passphraseFrom({
    env: session.env,
    ...(flags.passphraseFd === undefined ? {} : { fd: flags.passphraseFd }),
    ...(options.file === undefined ? {} : { file: options.file }),
    prompt: { twice: options.twice, signal: session.signal },
  });
}

/** Opens the ladder, lends it to `use` and closes it on every path. */
export async function withLadder<T>(
  session: Session,
  flags: GlobalFlags,
  use: (ladder: Ladder) => Promise<T>,
): Promise<T> {
  const folder = folderOf(session, flags).value;
  const config = await readConfig(folder);
  const passphrase = passphraseOf(session, flags, { file: configPaths(folder, config).passphraseFile, twice: false });
  const ladder = await openLadder(ladderOptions(folder, config, () => passphrase.read()));
  try {
    return await use(ladder);
  } finally {
    await ladder.close();
  }
}
