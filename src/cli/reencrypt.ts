/** keyladder reencrypt: new messages from old ones, under fresh data keys. Works on files; see successor.ts. */

import { lstat, realpath } from "node:fs/promises";
import type { Command } from "commander";
import { ioError } from "../atomic-file.js";
import type { KeyInfo } from "../index.js";
import { noteSkipped, runBatch } from "./batch.js";
import { commitmentOption, type OpenFlags, openOptions, withoutSuffix } from "./decrypt.js";
import { dataOptions, dryRun } from "./encrypt.js";
import { EXIT_CODES_HELP, usageError } from "./exit-codes.js";
import { type FileJob, type Plan, planFiles, prepareTarget, SUFFIX } from "./files.js";
import { headerOf } from "./inspect.js";
import { requireKey, withBoth } from "./masters.js";
import { openedBy } from "./opened-by.js";
import type { Session } from "./session.js";
import { type Masters, writeSuccessor } from "./successor.js";
import { bytesText, oneLine } from "./text.js";

type Opening = ReturnType<typeof openOptions>;

interface ReencryptFlags extends OpenFlags {
  readonly sign?: boolean;
  readonly stale?: boolean;
}

export function registerReencrypt(program: Command, session: Session): void {
  const command = program
    .command("reencrypt")
    .summary("new messages from old ones, under fresh data keys")
    .description(
      "Open each message and seal it anew under KEY: fresh data key, fresh message id,\nsame context. " +
        "A file is replaced only after its successor was read back and opened.",
    )
    .argument("<FILE...>", `messages, or folders with -r (takes *${SUFFIX})`)
    .option("-k, --key <KEY>", "the key to seal under: alias or key id");
  dataOptions(command, "demand that the old message is bound to this pair")
    .option("--stale", "leave messages that are under the key's current version")
    .option("--sign", "sign the new messages (suite 0x0578); signed ones stay signed")
    .addOption(commitmentOption())
    .addHelpText(
      "after",
      `
Examples:
  keyladder reencrypt -k orders-2 report.pdf${SUFFIX}
  keyladder reencrypt -r -k orders --stale ./data
  keyladder reencrypt -k orders --raw-aes app/old=@key.bin FILE   (it opens)

${EXIT_CODES_HELP}`,
    )
    .action((files: string[], _options: unknown, self: Command) => reencrypt(session, files, self.optsWithGlobals()));
}

async function reencrypt(session: Session, files: readonly string[], flags: ReencryptFlags): Promise<void> {
  if (files.includes("-") || flags.output === "-") {
    throw usageError("reencrypt works on files: it reads back what it wrote", "keyladder decrypt | keyladder encrypt");
  }
  requireKey(flags);
  if (flags.stale === true && flags.key === undefined) throw usageError("--stale needs -k KEY");
  const plan = await planFiles(files, {
    recursive: flags.recursive === true,
    output: flags.output,
    rename: (name) => name,
    leaveAlone: (name) => (withoutSuffix(name) === undefined ? `not named *${SUFFIX}` : undefined),
  });
  const inPlace = flags.output === undefined;
  const jobs = inPlace ? await Promise.all(plan.jobs.map(behindLink)) : plan.jobs;
  noteSkipped(session, plan);
  if (flags.dryRun === true) return inPlace ? dryRunInPlace(session, plan) : dryRun(session, plan, flags);
  await withBoth(session, flags, async (from, to, ladder) => {
    const { key } = flags;
    const current = flags.stale === true && key !== undefined ? await ladder?.keys.describe(key) : undefined;
    const masters: Masters = { from, to: to.keyring };
    await runBatch(session, jobs, { done: `now under new data keys and ${to.name}` }, (job) =>
      reencryptOne(session, job, flags, masters, to.name, current),
    );
  });
}

/** In place means the file itself, not a link to it. */
async function behindLink(job: FileJob): Promise<FileJob> {
  try {
    if (!(await lstat(job.from)).isSymbolicLink()) return job;
    const path = await realpath(job.from);
    return { from: path, to: path };
  } catch (error) {
    throw ioError(error, `read ${job.from}`);
  }
}

function dryRunInPlace(session: Session, plan: Plan): void {
  for (const { from } of plan.jobs) {
    session.out.result(`would replace ${oneLine(from)}`, { file: from, output: from, dryRun: true });
  }
}

async function reencryptOne(
  session: Session,
  job: FileJob,
  flags: ReencryptFlags,
  masters: Masters,
  name: string,
  current: KeyInfo | undefined,
): Promise<void> {
  const open = openOptions(session, flags);
  if (current !== undefined && (await isCurrent(job.from, masters, open, current))) {
    session.out.result(`${oneLine(job.from)}  is under ${name} already`, { file: job.from, stale: false });
    return;
  }
  const header = await headerOf(session, job.from);
  if (job.to !== job.from) await prepareTarget(job, { force: flags.force === true, dryRun: false });
  const overwrite = job.to === job.from || flags.force === true;
  const written = await writeSuccessor(session, job, header, masters, {
    overwrite,
    sign: flags.sign === true,
    open,
  });
  session.out.result(
    `${oneLine(job.to)}  ${bytesText(written.plaintextBytes)}  ${name}${session.out.clearContext(written.context)}`,
    { file: job.from, output: job.to, ...written },
  );
}

/** True where the message, its header authenticated, is under the key's current version. */
async function isCurrent(path: string, { from }: Masters, open: Opening, key: KeyInfo): Promise<boolean> {
  const opened = await openedBy(path, from, open);
  return opened !== undefined && opened.keyId === key.keyId && opened.keyVersion === key.keyVersion;
}
