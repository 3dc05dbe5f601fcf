/**
 * The folder of a ladder and what it says: `keyladder.json`, the token, the store. Public as `keyladder/config`:
 * `openLadder(await loadConfig())` opens what the command line made. The current folder is never searched, and a file
 * that others can write is refused: the configuration decides which key material is used.
 */

import { constants, type Stats } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import * as v from "valibot";
import { errnoOf, ioError, writeFileAtomic } from "../atomic-file.js";
import { errors, type LadderOptions, type Secret, softwareHsm, sqliteStore } from "../index.js";
import { passphraseFrom } from "./secrets.js";

export const CONFIG_FILE = "keyladder.json";
/** More than any configuration of ours. */
const MAX_CONFIG_BYTES = 64 * 1024;

const path = v.pipe(v.string(), v.minLength(1));

/** Paths are relative to the ladder's folder. Secrets are references, never values. */
const configSchema = v.strictObject({
  hsm: v.strictObject({
    /** The token's file. */
    software: path,
    /** An owner-only key file that opens the token in place of a passphrase. */
    keyFile: v.optional(path),
    /** Where the passphrase is kept. */
    passphrase: v.optional(v.strictObject({ file: path })),
  }),
  store: v.strictObject({ file: path }),
});

export type Config = v.InferOutput<typeof configSchema>;

/** A value and where it came from, for `doctor`. */
export interface Setting {
  readonly value: string;
  readonly source: string;
}

/** The ladder's folder: -L, else KEYLADDER_HOME, else $XDG_DATA_HOME/keyladder, else ~/.local/share/keyladder. Absolute. */
export function ladderFolder(flag: string | undefined, env: NodeJS.ProcessEnv): Setting {
  if (flag !== undefined) return { value: resolve(flag), source: "-L" };
  const home = env.KEYLADDER_HOME;
  if (home !== undefined && home !== "") return { value: resolve(home), source: "KEYLADDER_HOME" };
  const data = env.XDG_DATA_HOME;
  // The XDG specification has relative paths ignored.
  if (data !== undefined && isAbsolute(data)) return { value: join(data, "keyladder"), source: "XDG_DATA_HOME" };
  return { value: join(homedir(), ".local", "share", "keyladder"), source: "default" };
}

/** Refuses what another user could have written. @throws StoreError ERR_IO */
function refuseForeign(what: string, info: Stats): void {
  if (process.getuid === undefined) return;
  const self = process.getuid();
  if (info.uid !== self && info.uid !== 0) {
    throw new errors.StoreError("ERR_IO", `${what} belongs to another user: it is not read`);
  }
  if ((info.mode & 0o022) !== 0) {
    throw new errors.StoreError("ERR_IO", `${what} can be written by others: it is not read`, {
      hint: `chmod go-w ${what}`,
    });
  }
}

function noLadder(folder: string): Error {
  return new errors.KeyNotFoundError("ERR_LADDER_NOT_FOUND", `no ladder at ${folder}`, {
    hint: "a new one: keyladder init. One elsewhere: -L DIR or KEYLADDER_HOME",
  });
}

/** Opens keyladder.json, checked to be nobody else's. Undefined where there is none. */
async function openConfig(folder: string): Promise<FileHandle | undefined> {
  const file = join(folder, CONFIG_FILE);
  let handle: FileHandle;
  try {
    handle = await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
    if (errnoOf(error) === "ELOOP") {
      throw new errors.StoreError("ERR_IO", `${file} is a symbolic link: it is not read`, { cause: error });
    }
    throw ioError(error, `read ${file}`);
  }
  try {
    refuseForeign(folder, await stat(folder));
    refuseForeign(file, await handle.stat());
  } catch (error) {
    await handle.close();
    throw ioError(error, `read ${file}`);
  }
  return handle;
}

/** True where keyladder.json is there, whoever may write it. */
export async function hasConfig(folder: string): Promise<boolean> {
  try {
    await stat(join(folder, CONFIG_FILE));
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return false;
    throw ioError(error, `read ${join(folder, CONFIG_FILE)}`);
  }
}

/**
 * What keyladder.json says, checked; unknown keys are refused.
 * @throws KeyNotFoundError ERR_LADDER_NOT_FOUND · InputError ERR_INPUT (its content) · StoreError ERR_IO (unreadable, or
 * others can write it)
 */
export async function readConfig(folder: string): Promise<Config> {
  const handle = await openConfig(folder);
  if (handle === undefined) throw noLadder(folder);
  const file = join(folder, CONFIG_FILE);
  let text: string;
  try {
    if ((await handle.stat()).size > MAX_CONFIG_BYTES) {
      throw new errors.InputError("ERR_INPUT", `${file} exceeds ${MAX_CONFIG_BYTES} bytes`);
    }
    text = await handle.readFile("utf8");
  } catch (error) {
    throw ioError(error, `read ${file}`);
  } finally {
    await handle.close();
  }
  return parseConfig(text, file);
}

/** `file` names it in errors. @throws InputError ERR_INPUT */
export function parseConfig(text: string, file: string): Config {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    // The parser's own message repeats the text, which may hold what someone wrongly put there.
    throw new errors.InputError("ERR_INPUT", `${file} is not JSON`, { cause });
  }
  const parsed = v.safeParse(configSchema, json);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const where = v.getDotPath(issue) ?? "it";
  if (where === "hsm.module") {
    throw new errors.InputError("ERR_INPUT", `${file}: "hsm.module": this release opens software tokens only`);
  }
  const why = issue.expected === "never" ? "is not a setting" : `expected ${issue.expected ?? "something else"}`;
  throw new errors.InputError("ERR_INPUT", `${file}: "${where}" ${why}`);
}

/** Writes keyladder.json, 0600. @throws InputError ERR_FILE_EXISTS · StoreError ERR_IO */
export function writeConfig(folder: string, config: Config): Promise<void> {
  const text = `${JSON.stringify(config, null, 2)}\n`;
  return writeFileAtomic(join(folder, CONFIG_FILE), new TextEncoder().encode(text), { mode: 0o600 });
}

/** The files a configuration names, absolute. */
export function configPaths(
  folder: string,
  config: Config,
): { token: string; store: string; keyFile: string | undefined; passphraseFile: string | undefined } {
  const { software, keyFile, passphrase } = config.hsm;
  return {
    token: resolve(folder, software),
    store: resolve(folder, config.store.file),
    keyFile: keyFile === undefined ? undefined : resolve(folder, keyFile),
    passphraseFile: passphrase === undefined ? undefined : resolve(folder, passphrase.file),
  };
}

/** What `openLadder` takes, of a configuration. `passphrase` is asked only where no key file is named. */
export function ladderOptions(folder: string, config: Config, passphrase: Secret): LadderOptions {
  const { token, store, keyFile } = configPaths(folder, config);
  const opened = keyFile === undefined ? { passphrase } : { keyFile };
  return { hsm: softwareHsm({ file: token, ...opened }), store: sqliteStore({ file: store }) };
}

/**
 * The options of the ladder in `dir` (default: KEYLADDER_HOME, $XDG_DATA_HOME/keyladder, ~/.local/share/keyladder), as
 * the command line made it. The passphrase, where the token has one, comes from KEYLADDER_PASSPHRASE,
 * KEYLADDER_PASSPHRASE_FILE or the file that keyladder.json names, when the token asks for it.
 * @throws KeyNotFoundError ERR_LADDER_NOT_FOUND · InputError ERR_INPUT · StoreError ERR_IO
 */
export async function loadConfig(dir?: string): Promise<LadderOptions> {
  const folder = ladderFolder(dir, process.env).value;
  const config = await readConfig(folder);
  const { passphraseFile } = configPaths(folder, config);
  const passphrase = passphraseFrom({
    env: process.env,
    ...(passphraseFile === undefined ? {} : { file: passphraseFile }),
  });
  return ladderOptions(folder, config, () => passphrase.read());
}
