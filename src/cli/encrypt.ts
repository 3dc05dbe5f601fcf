/** keyladder encrypt: files, trees, or stdin to stdout. */

import type { Command } from "commander";
import { type EncryptOptions, encryptFile, encryptStream } from "../index.js";
import { collect, parsePairs } from "./arguments.js";
import { noteSkipped, runBatch } from "./batch.js";
import { EXIT_CODES_HELP, usageError } from "./exit-codes.js";
import { type FileJob, type Plan, planFiles, prepareTarget, SUFFIX } from "./files.js";
import { type MasterFlags, requireKey, type Sealer, withSealer } from "./masters.js";
import { type OpenedBy, openedByOf, sealingWitness } from "./opened-by.js";
import { progressOf } from "./progress.js";
import type { Session } from "./session.js";
import { outputName, pumpTo, refuseTerminal } from "./streams.js";
import { bytesText, oneLine } from "./text.js";

export interface DataFlags extends MasterFlags {
  readonly context?: readonly string[];
  readonly output?: string;
  readonly force?: boolean;
  readonly recursive?: boolean;
  readonly dryRun?: boolean;
}

interface EncryptFlags extends DataFlags {
  readonly sign?: boolean;
}

/** The flags that encrypt, decrypt and reencrypt share. */
export function dataOptions(command: Command, contextHelp: string): Command {
  return command
    .option("-c, --context <KEY=VALUE>", contextHelp, collect)
    .option("-o, --output <OUT>", "where to write; a folder for many files; - is stdout")
    .option("-f, --force", "replace existing files")
    .option("-r, --recursive", "folders too: a message per file, tree kept, links not followed")
    .option("--raw-aes <NS/NAME=@FILE>", "a raw AES key: FILE is 16, 24 or 32 bytes", collect)
    .option("--dry-run", "say what would be written, and write nothing");
}

/** True where the verb reads stdin or writes stdout: one message, no file names to derive. */
export function isPiped(files: readonly string[], flags: DataFlags): boolean {
  const piped = files.length === 0 || files.includes("-") || flags.output === "-";
  if (!piped) return false;
  if (files.length > 1) throw usageError("one message at a time through a pipe", "name files only, or - only");
  if (flags.recursive === true) throw usageError("-r works on folders, not through a pipe");
  if (flags.dryRun === true) throw usageError("--dry-run works on files, not through a pipe");
  if (flags.passphraseFd === 0 && (files[0] ?? "-") === "-") {
    throw usageError("stdin cannot carry both the data and the passphrase", "--passphrase-fd 3 3< FILE");
  }
  return true;
}

export function registerEncrypt(program: Command, session: Session): void {
  const command = program
    .command("encrypt")
    .summary("encrypt files, trees or a stream")
    .description(`Encrypt FILE to FILE${SUFFIX}, or stdin to stdout.`)
    .argument("[FILE...]", "files, or folders with -r; none or - is stdin")
    .option("-k, --key <KEY>", "the key: alias or key id");
  dataOptions(command, "bind a pair to the message; stored in clear, for all to read")
    .option("--sign", "sign the message too (suite 0x0578, ECDSA P-384)")
    .addHelpText(
      "after",
      `
Examples:
  keyladder encrypt -k orders -c tenant=acme invoices.csv
  tar c ~/data | keyladder encrypt -k orders > data.tar${SUFFIX}
  keyladder encrypt -r -k orders -o /backup ./data
  keyladder encrypt --raw-aes app/master=@key.bin FILE      (no ladder needed)

In a pipe use "set -o pipefail": output is complete only if every part exits 0.

${EXIT_CODES_HELP}`,
    )
    .action((files: string[], _options: unknown, self: Command) => encrypt(session, files, self.optsWithGlobals()));
}

async function encrypt(session: Session, files: readonly string[], flags: EncryptFlags): Promise<void> {
  requireKey(flags);
  const context = parsePairs(flags.context, "-c");
  const options = { context, suite: flags.sign === true ? 0x0578 : 0x0478, signal: session.signal } as const;
  if (isPiped(files, flags)) {
    refuseTerminal(session, flags.output);
    await withSealer(session, flags, (sealer) => encryptPipe(session, files[0], flags, sealer, options));
    return;
  }
  const plan = await planFiles(files, {
    recursive: flags.recursive === true,
    output: flags.output,
    rename: (name) => name + SUFFIX,
    leaveAlone: (name) => (name.endsWith(SUFFIX) ? "encrypted already" : undefined),
  });
  noteSkipped(session, plan);
  if (flags.dryRun === true) return dryRun(session, plan, flags);
  await withSealer(session, flags, (sealer) =>
    runBatch(session, plan.jobs, { done: "encrypted" }, async (job) => {
      await prepareTarget(job, { force: flags.force === true, dryRun: false });
      await encryptOne(session, job, flags, sealer, options);
    }),
  );
}

/** Says what each job would write, and what stands in its way. */
export async function dryRun(session: Session, plan: Plan, flags: DataFlags): Promise<void> {
  await runBatch(session, plan.jobs, { done: "would be written; nothing was" }, async (job) => {
    await prepareTarget(job, { force: flags.force === true, dryRun: true });
    session.out.result(`would write ${oneLine(job.to)}  from ${oneLine(job.from)}`, {
      file: job.from,
      output: job.to,
      dryRun: true,
    });
  });
}

type Options = Omit<EncryptOptions, "keyring">;

async function encryptOne(
  session: Session,
  job: FileJob,
  flags: DataFlags,
  sealer: Sealer,
  options: Options,
): Promise<void> {
  const progress = progressOf(job.from, session.out);
  try {
    const result = await encryptFile(job.from, job.to, {
      ...options,
      keyring: sealer.keyring,
      overwrite: flags.force === true,
      onProgress: ({ doneBytes, totalBytes }) => progress.update(doneBytes, totalBytes),
    });
    progress.stop();
    const summary = `${oneLine(job.to)}  ${bytesText(result.plaintextBytes)}  ${sealer.name}`;
    session.out.result(summary + session.out.clearContext(result.context), {
      file: job.from,
      output: job.to,
      ...result,
    });
  } finally {
    progress.stop();
  }
}

async function encryptPipe(
  session: Session,
  file: string | undefined,
  flags: DataFlags,
  sealer: Sealer,
  options: Options,
): Promise<void> {
  const output = flags.output;
  let by: OpenedBy = { keyId: "" };
  const keyring = sealingWitness(sealer.keyring, (made) => {
    by = openedByOf(made);
  });
  const transform = encryptStream({ ...options, keyring });
  const target = { output, force: flags.force === true, mode: 0o666 };
  const { inputBytes, outputBytes } = await pumpTo(session, file, transform, target);
  const summary = `${oneLine(outputName(output))}  ${bytesText(inputBytes)}  ${sealer.name}`;
  const context = options.context ?? {};
  session.out.result(
    summary + session.out.clearContext(context),
    { file: file ?? "-", output: output ?? "-", plaintextBytes: inputBytes, messageBytes: outputBytes, ...by, context },
    "stderr",
  );
}
