/** keyladder key: create, list, describe, alias, rotate, suspend, resume. */

import { type Command, Option } from "commander";
import type { CreateKey, Duration, KeyInfo, KeyState } from "../index.js";
import { collect, parseDurationFlag, parsePairs } from "./arguments.js";
import { EXIT_CODES_HELP, usageError } from "./exit-codes.js";
import { type GlobalFlags, globalFlags, type Session, withLadder } from "./session.js";
import { contextText, dateText, oneLine } from "./text.js";

const STATES: readonly KeyState[] = ["pre-active", "active", "suspended", "deactivated", "compromised", "destroyed"];

export function registerKey(program: Command, session: Session): void {
  const key = program
    .command("key")
    .summary("create, list, rotate, suspend keys")
    .description("The master keys that data is encrypted under. KEY is an alias, a key id, or tenant:alias.")
    .addHelpText("after", `\n${EXIT_CODES_HELP}`);
  registerCreate(key, session);
  registerList(key, session);
  key
    .command("describe")
    .description("Show everything about a key.")
    .argument("<KEY>", "alias or key id")
    .action((ref: string, _options: unknown, self: Command) =>
      withLadder(session, globalFlags(self), async (ladder) => {
        const info = await ladder.keys.describe(ref);
        session.out.result(details(session, info), info);
      }),
    );
  registerAlias(key, session);
  registerRotate(key, session);
  registerStates(key, session);
}

/** cmk_…  orders  active  v1  rotates 2027-02-21 */
function oneKey(info: KeyInfo): string {
  const parts = [info.keyId, ...(info.alias === undefined ? [] : [oneLine(info.alias)]), info.keyState];
  parts.push(`v${info.keyVersion}`);
  if (info.protection === "resident") parts.push("resident");
  if (info.nextRotationAt !== undefined) parts.push(`rotates ${dateText(info.nextRotationAt)}`);
  return parts.join("  ");
}

function details(session: Session, info: KeyInfo): string {
  const optional: (readonly [string, string | undefined])[] = [
    ["aliases", info.aliases.join(", ")],
    ["tenant", info.tenant],
    ["suspended because", info.stateReason],
    ["made by", info.issuer],
    ["description", info.description],
    ["protection", info.protection],
    ["rotation period", info.rotationPeriod ?? undefined],
    ["next rotation", info.nextRotationAt?.toISOString()],
    ["demands context", info.contextKeys?.join(", ")],
    ["tags", info.tags === undefined ? undefined : contextText(info.tags)],
  ];
  const rows: [string, string][] = [
    ["key id", info.keyId],
    ["state", info.keyState],
    ["version", `v${info.keyVersion}`],
    ["created", info.createdAt.toISOString()],
  ];
  for (const [name, value] of optional) if (value !== undefined && value !== "") rows.push([name, value]);
  for (const { version, state, createdAt } of info.versions) {
    rows.push([`  v${version}`, `${state}, created ${createdAt.toISOString()}`]);
  }
  return session.out.pairs(rows);
}

interface CreateFlags extends GlobalFlags {
  readonly rotationPeriod?: Duration;
  readonly protection?: "wrapped" | "resident";
  readonly tenant?: string;
  readonly description?: string;
  readonly tag?: readonly string[];
  readonly contextKey?: readonly string[];
  readonly ifNotExists?: boolean;
}

function registerCreate(key: Command, session: Session): void {
  key
    .command("create")
    .description("Make a key inside the token and give it a name.")
    .argument("<ALIAS>", "what to call it")
    .option("--rotation-period <TIME>", "make a new version this often, such as 90d; none: never", parseDurationFlag)
    .addOption(
      new Option("--protection <HOW>", "kept wrapped in the store, or inside the token").choices([
        "wrapped",
        "resident",
      ]),
    )
    .option("--tenant <NAME>", "whose key it is")
    .option("--description <TEXT>", "for people")
    .option("--tag <KEY=VALUE>", "for finding it", collect)
    .option("--context-key <NAME>", "demand that every message binds this context key", collect)
    .option("--if-not-exists", "return the key that has the alias already")
    .addHelpText("after", "\nExample:\n  keyladder key create orders --rotation-period 90d --context-key tenant")
    .action((alias: string, _options: unknown, self: Command) =>
      create(session, alias, self.optsWithGlobals<CreateFlags>()),
    );
}

async function create(session: Session, alias: string, flags: CreateFlags): Promise<void> {
  const options: CreateKey = {
    alias,
    ifExists: flags.ifNotExists === true ? "return" : "error",
    ...(flags.rotationPeriod === undefined ? {} : { rotationPeriod: flags.rotationPeriod }),
    ...(flags.protection === undefined ? {} : { protection: flags.protection }),
    ...(flags.tenant === undefined ? {} : { tenant: flags.tenant }),
    ...(flags.description === undefined ? {} : { description: flags.description }),
    ...(flags.tag === undefined ? {} : { tags: parsePairs(flags.tag, "--tag") }),
    ...(flags.contextKey === undefined ? {} : { contextKeys: flags.contextKey }),
  };
  await withLadder(session, flags, async (ladder) => {
    const info = await ladder.keys.create(options);
    session.out.result(oneKey(info), info);
  });
}

interface ListFlags extends GlobalFlags {
  readonly state?: KeyState;
  readonly tag?: string;
  readonly tenant?: string;
}

function registerList(key: Command, session: Session): void {
  key
    .command("list")
    .description("List keys, oldest first. With --json one object per line.")
    .addOption(new Option("--state <STATE>", "only keys in this state").choices(STATES))
    .option("--tag <TAG>", "only keys with this tag, or KEY=VALUE")
    .option("--tenant <NAME>", "keys of another tenant")
    .action((_options: unknown, self: Command) => list(session, self.optsWithGlobals<ListFlags>()));
}

async function list(session: Session, flags: ListFlags): Promise<void> {
  const { state, tag, tenant } = flags;
  await withLadder(session, flags, async (ladder) => {
    const rows: string[][] = [];
    const keys = ladder.keys.list({
      ...(state === undefined ? {} : { state }),
      ...(tag === undefined ? {} : { tag }),
      ...(tenant === undefined ? {} : { tenant }),
    });
    for await (const info of keys) {
      session.signal.throwIfAborted();
      if (session.out.mode.json) session.out.result("", info);
      else rows.push(row(info));
    }
    if (session.out.mode.json) return;
    if (rows.length === 0) session.out.note("no keys. The first: keyladder key create orders");
    else session.out.result(session.out.table(["ALIAS", "KEY ID", "STATE", "VERSION", "ROTATES"], rows), undefined);
  });
}

function row(info: KeyInfo): string[] {
  const rotates = info.nextRotationAt === undefined ? "-" : dateText(info.nextRotationAt);
  return [info.alias ?? "-", info.keyId, info.keyState, `v${info.keyVersion}`, rotates];
}

function registerAlias(key: Command, session: Session): void {
  key
    .command("alias")
    .description("Give KEY the name ALIAS, moving it if it names another key; or take a name away.")
    .argument("<ALIAS>", "the name")
    .argument("[KEY]", "alias or key id")
    .option("--remove", "take the name away; the key stays")
    .addHelpText("after", "\nExamples:\n  keyladder key alias orders cmk_…\n  keyladder key alias --remove orders")
    .action((alias: string, ref: string | undefined, options: { remove?: boolean }, self: Command) => {
      if (options.remove === true) {
        if (ref !== undefined) throw usageError("--remove takes the alias only");
        return withLadder(session, globalFlags(self), async (ladder) => {
          await ladder.keys.removeAlias(alias);
          session.out.result(`${oneLine(alias)}  removed; its key stays`, { alias, removed: true });
        });
      }
      if (ref === undefined) throw usageError("which KEY gets the name?", "keyladder key alias ALIAS KEY");
      return withLadder(session, globalFlags(self), async (ladder) => {
        await ladder.keys.setAlias(alias, ref);
        const info = await ladder.keys.describe(alias);
        session.out.result(oneKey(info), info);
      });
    });
}

function registerRotate(key: Command, session: Session): void {
  key
    .command("rotate")
    .description("Make a new version. New messages use it, old ones open as before.")
    .argument("[KEY]", "alias or key id")
    .option("--due", "every key whose rotation period is over; many machines may run it, each key is rotated once")
    .action((ref: string | undefined, options: { due?: boolean }, self: Command) => {
      if ((ref === undefined) !== (options.due === true))
        throw usageError("which KEY? One, or --due", "keyladder key --help");
      return withLadder(session, globalFlags(self), async (ladder) => {
        const rotated = ref === undefined ? await ladder.keys.rotateDue() : [await ladder.keys.rotate(ref)];
        for (const info of rotated) session.out.result(rotatedText(info), info);
        if (rotated.length === 0) session.out.note("no key is due");
      });
    });
}

function rotatedText(info: KeyInfo): string {
  const name = oneLine(info.alias ?? info.keyId);
  const change = `v${info.keyVersion - 1} -> v${info.keyVersion}`;
  return `${name}  ${change}  new messages use v${info.keyVersion}, old ones open as before; no file changes`;
}

function registerStates(key: Command, session: Session): void {
  key
    .command("suspend")
    .description("Stop every use of a key, reversibly.")
    .argument("<KEY>", "alias or key id")
    .requiredOption("--reason <TEXT>", "why; kept with the key")
    .action((ref: string, options: { reason: string }, self: Command) =>
      withLadder(session, globalFlags(self), async (ladder) => {
        const info = await ladder.keys.suspend(ref, { reason: options.reason });
        session.out.result(`${oneKey(info)}  until: keyladder key resume ${oneLine(ref)}`, info);
      }),
    );
  key
    .command("resume")
    .description("Allow a suspended key again.")
    .argument("<KEY>", "alias or key id")
    .action((ref: string, _options: unknown, self: Command) =>
      withLadder(session, globalFlags(self), async (ladder) => {
        const info = await ladder.keys.resume(ref);
        session.out.result(oneKey(info), info);
      }),
    );
}
