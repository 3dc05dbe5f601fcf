/** keyladder doctor: what is here, each setting with its value and source, and what is weak and why. */

import { stat } from "node:fs/promises";
import type { Command } from "commander";
import { errnoOf } from "../atomic-file.js";
import { engineInfo, type LadderInfo } from "../index.js";
import { CONFIG_FILE, type Config, configPaths, readConfig, type Setting } from "./config.js";
import { EXIT, exitCodeOf } from "./exit-codes.js";
import { errorObject } from "./output.js";
import { folderOf, type GlobalFlags, globalFlags, passphraseOf, type Session, withLadder } from "./session.js";
import { pathText } from "./text.js";

interface NamedSetting extends Setting {
  readonly name: string;
}

interface Finding {
  readonly level: "ok" | "weak" | "bad";
  readonly message: string;
}

export function registerDoctor(program: Command, session: Session): void {
  program
    .command("doctor")
    .summary("what is here, what is weak, and why")
    .description("Show every setting with its source, open the ladder, and say what is weak and why.")
    .action((_options: unknown, self: Command) => doctor(session, globalFlags(self)));
}

async function doctor(session: Session, flags: GlobalFlags): Promise<void> {
  const settings: NamedSetting[] = [{ name: "ladder", ...folderOf(session, flags) }];
  const findings: Finding[] = [];
  try {
    const folder = folderOf(session, flags).value;
    const config = await readConfig(folder);
    settings.push(...settingsOf(session, flags, folder, config));
    findings.push(...(await fileFindings(folder, config)), ...secretFindings(session, config));
    findings.push(...(await withLadder(session, flags, async (ladder) => ladderFindings(await ladder.info()))));
  } catch (error) {
    session.signal.throwIfAborted();
    const { code, message } = errorObject(error);
    findings.push({ level: "bad", message: `${String(code)}: ${String(message)}` });
    session.exitCode = exitCodeOf(error);
  }
  report(session, settings, findings);
  const bad = findings.some(({ level }) => level === "bad");
  if (bad && session.exitCode === EXIT.ok) session.exitCode = EXIT.store;
}

function report(session: Session, settings: readonly NamedSetting[], findings: readonly Finding[]): void {
  const shown = settings.map(({ name, value, source }) => [name, `${pathText(value)}  (${source})`] as const);
  const found = findings.map(({ level, message }) => [level, message] as const);
  const text = `Settings\n${session.out.pairs(shown, "  ")}\n\nFindings\n${session.out.pairs(found, "  ")}`;
  session.out.result(text, { settings, findings });
}

function settingsOf(session: Session, flags: GlobalFlags, folder: string, config: Config): NamedSetting[] {
  const paths = configPaths(folder, config);
  const engine = session.env.KEYLADDER_ENGINE;
  const passphrase = passphraseOf(session, flags, { file: paths.passphraseFile, twice: false });
  const secret: NamedSetting =
    paths.keyFile === undefined
      ? { name: "passphrase", value: "not shown", source: passphrase.source }
      : { name: "key file", value: paths.keyFile, source: CONFIG_FILE };
  return [
    { name: "token", value: paths.token, source: CONFIG_FILE },
    secret,
    { name: "store", value: paths.store, source: CONFIG_FILE },
    { name: "engine", value: engineInfo().engine, source: engine === undefined ? "default" : "KEYLADDER_ENGINE" },
  ];
}

/** Who else can read or write what only the owner should. */
async function fileFindings(folder: string, config: Config): Promise<Finding[]> {
  const { token, store, keyFile, passphraseFile } = configPaths(folder, config);
  const findings: Finding[] = [];
  for (const path of [folder, `${folder}/${CONFIG_FILE}`, token, store, keyFile, passphraseFile]) {
    if (path === undefined) continue;
    const mode = await modeOf(path);
    if (mode === undefined) findings.push({ level: "bad", message: `${pathText(path)} is not there` });
    else if ((mode & 0o022) !== 0) findings.push({ level: "bad", message: `${pathText(path)}: others can write it` });
    else if ((mode & 0o044) !== 0) findings.push({ level: "weak", message: `${pathText(path)}: others can read it` });
  }
  if (findings.length === 0) findings.push({ level: "ok", message: "the files are the owner's alone" });
  return findings;
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return process.platform === "win32" ? 0 : (await stat(path)).mode & 0o777;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function secretFindings(session: Session, config: Config): Finding[] {
  const findings: Finding[] = [];
  if (config.hsm.keyFile !== undefined) {
    const message = "the token opens with a key file: whoever reads both files has every key. Keep them apart";
    findings.push({ level: "weak", message });
  } else if ((session.env.KEYLADDER_PASSPHRASE ?? "") !== "") {
    const message =
      "the passphrase is in the environment, which child processes inherit; KEYLADDER_PASSPHRASE_FILE is better";
    findings.push({ level: "weak", message });
  }
  return findings;
}

function ladderFindings(info: LadderInfo): Finding[] {
  const findings: Finding[] = [];
  for (const { kind, label, serial, hardware, health, warnings } of info.hsm) {
    const message = `token ${kind} "${label}", serial ${serial}: ${health}`;
    findings.push({ level: health === "up" ? "ok" : "bad", message });
    if (!hardware && warnings.length === 0)
      findings.push({ level: "weak", message: "the token is SOFTWARE, not an HSM" });
    for (const warning of warnings) findings.push({ level: "weak", message: warning });
  }
  if (info.orphanedResidentKeys.length > 0) {
    const ids = info.orphanedResidentKeys.join(", ");
    findings.push({ level: "weak", message: `keys resident in the token that no key of the store names: ${ids}` });
  }
  findings.push({ level: "weak", message: "this process acts as administrator: it may do everything the ladder can" });
  findings.push({
    level: "ok",
    message: `store ${info.store.kind}, schema ${info.store.schema}, ${info.keys} ${info.keys === 1 ? "key" : "keys"}`,
  });
  return findings;
}
