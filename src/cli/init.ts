/** keyladder init: a folder with a token, a store and keyladder.json. Running it again completes or confirms it. */

import { chmod, mkdir, stat } from "node:fs/promises";
import { isAbsolute, relative, resolve } from "node:path";
import type { Command } from "commander";
import { errnoOf, ioError } from "../atomic-file.js";
import { errors, KeyladderError, type LadderInfo, openLadder } from "../index.js";
import { type Config, configPaths, hasConfig, ladderOptions, readConfig, writeConfig } from "./config.js";
import { usageError } from "./exit-codes.js";
import { folderOf, type GlobalFlags, passphraseOf, type Session } from "./session.js";
import { pathText } from "./text.js";

interface InitFlags extends GlobalFlags {
  readonly hsm?: string;
  readonly module?: string;
  readonly tokenLabel?: string;
  readonly store?: string;
  readonly keyFile?: string;
}

export function registerInit(program: Command, session: Session): void {
  program
    .command("init")
    .summary("make a ladder: token, store, configuration")
    .description("Make a ladder in DIR, or complete one that was begun. Safe to run twice.")
    .argument("[DIR]", "its folder; default: -L, KEYLADDER_HOME, ~/.local/share/keyladder")
    .option("--hsm <KIND>", "software: a token in a file, not hardware (default)")
    .option("--module <LIB>", "a PKCS#11 module; not in this release")
    .option("--token-label <LABEL>", "the PKCS#11 token; not in this release")
    .option("--store <FILE>", "the store's file (default: store.db in the folder)")
    .option("--key-file <FILE>", "open the token with an owner-only key file, not a passphrase")
    .addHelpText(
      "after",
      `
Examples:
  keyladder init
  keyladder init ./prod --key-file /etc/keyladder/token.key   # unattended
  keyladder init --passphrase-fd 3 3< FILE

Whoever reads the key file and the token file has every key: keep them apart.`,
    )
    .action((dir: string | undefined, _options: unknown, self: Command) =>
      init(session, dir, self.optsWithGlobals<InitFlags>()),
    );
}

async function init(session: Session, dir: string | undefined, flags: InitFlags): Promise<void> {
  if (flags.module !== undefined || flags.tokenLabel !== undefined || (flags.hsm ?? "software") !== "software") {
    throw usageError("this release makes software tokens only: no PKCS#11 yet", "keyladder init --hsm software");
  }
  if (dir !== undefined && flags.ladder !== undefined && resolve(dir) !== resolve(flags.ladder)) {
    throw usageError("DIR and -L name different folders");
  }
  const chosen = folderOf(session, dir === undefined ? flags : { ...flags, ladder: dir });
  const folder = chosen.value;
  await makeFolder(folder);
  const known = await hasConfig(folder);
  const config = known ? await readConfig(folder) : newConfig(folder, flags);
  if (known) refuseOtherSettings(folder, config, flags);
  const info = await openOrMake(session, folder, config, flags, known);
  if (!known) await keepConfig(folder, config);
  const token = info.hsm[0]?.hardware === true ? "an HSM" : "SOFTWARE, not an HSM (see: keyladder doctor)";
  session.out.result(`Ladder ready in ${pathText(folder)}    token: ${token}`, { folder, created: !known, ...info });
  if (dir !== undefined && dir !== session.env.KEYLADDER_HOME) {
    session.out.note(`for the next commands: export KEYLADDER_HOME=${pathText(folder)}   (or -L)`);
  }
}

/** Another `init` may have been faster: the same settings are as good as ours. */
async function keepConfig(folder: string, config: Config): Promise<void> {
  try {
    await writeConfig(folder, config);
  } catch (error) {
    const same = async () => JSON.stringify(await readConfig(folder)) === JSON.stringify(config);
    if (!KeyladderError.is(error, "ERR_FILE_EXISTS") || !(await same())) throw error;
  }
}

/** 0700 where new; an existing folder keeps its bits, and is refused where others can write it. */
async function makeFolder(folder: string): Promise<void> {
  try {
    if ((await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined) await chmod(folder, 0o700);
    const info = await stat(folder);
    if (process.platform !== "win32" && (info.mode & 0o022) !== 0) {
      throw new errors.StoreError("ERR_IO", `${folder} can be written by others: no ladder is made there`, {
        hint: `chmod go-w ${folder}`,
      });
    }
  } catch (error) {
    throw ioError(error, `make the folder ${folder}`);
  }
}

function newConfig(folder: string, flags: InitFlags): Config {
  const { keyFile, store } = flags;
  return {
    hsm: { software: "token", ...(keyFile === undefined ? {} : { keyFile: reference(folder, keyFile) }) },
    store: { file: store === undefined ? "store.db" : reference(folder, store) },
  };
}

/** Given from the current folder, kept relative to the ladder's folder where it lies inside, so that it can move. */
function reference(folder: string, given: string): string {
  const path = resolve(given);
  const inside = relative(folder, path);
  return inside.startsWith("..") || isAbsolute(inside) ? path : inside;
}

/** A ladder that is there keeps its settings: a flag that says otherwise is a mistake. */
function refuseOtherSettings(folder: string, config: Config, flags: InitFlags): void {
  const paths = configPaths(folder, config);
  if (flags.keyFile !== undefined && resolve(flags.keyFile) !== paths.keyFile) {
    throw usageError(`the ladder in ${folder} is there already and does not use this --key-file`);
  }
  if (flags.store !== undefined && resolve(flags.store) !== paths.store) {
    throw usageError(`the ladder in ${folder} is there already and keeps its store elsewhere`);
  }
}

async function openOrMake(
  session: Session,
  folder: string,
  config: Config,
  flags: InitFlags,
  known: boolean,
): Promise<LadderInfo> {
  const { token, store, passphraseFile } = configPaths(folder, config);
  const hasToken = await exists(token);
  if (!hasToken && (await exists(store))) {
    throw new errors.HsmError("ERR_HSM_REFUSED", `${store} is there but its token ${token} is not`, {
      hint: "restore the token file from its backup: nothing else opens this store",
    });
  }
  if (known && hasToken && !(await exists(store))) {
    throw new errors.StoreError("ERR_IO", `${token} is there but its store ${store} is not`, {
      hint: "restore the store from its backup; a new, empty one would open none of the old messages",
    });
  }
  const passphrase = passphraseOf(session, flags, { file: passphraseFile, twice: !hasToken });
  const options = ladderOptions(folder, config, () => passphrase.read());
  const ladder = await openLadder({ ...options, create: "if-missing" });
  try {
    return await ladder.info();
  } finally {
    await ladder.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw ioError(error, `read ${path}`);
  }
}
