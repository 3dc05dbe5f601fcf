/** keyladder decrypt: files, trees, or stdin to stdout. */

import { type Command, Option } from "commander";
import { type CommitmentPolicy, type DecryptOptions, decryptFile, decryptStream } from "../index.js";
import { parsePairs } from "./arguments.js";
import { noteSkipped, runBatch } from "./batch.js";
import { type DataFlags, dataOptions, dryRun, isPiped } from "./encrypt.js";
import { EXIT_CODES_HELP } from "./exit-codes.js";
import { type FileJob, planFiles, prepareTarget, SUFFIX } from "./files.js";
import { withOpener } from "./masters.js";
import { type OpenedBy, openedByOf, witness } from "./opened-by.js";
import { progressOf } from "./progress.js";
import type { Session } from "./session.js";
import { outputName, pumpTo, refuseTerminal } from "./streams.js";
import { bytesText, contextText, oneLine } from "./text.js";

export interface OpenFlags extends DataFlags {
  readonly commitmentPolicy?: CommitmentPolicy;
}

/** Messages of the first format version carry no key commitment; opening them is a decision. */
export function commitmentOption(): Option {
  return new Option(
    "--commitment-policy <POLICY>",
    "what to open; messages of version 1 need ..._ALLOW_DECRYPT",
  ).choices(["REQUIRE_ENCRYPT_REQUIRE_DECRYPT", "REQUIRE_ENCRYPT_ALLOW_DECRYPT"]);
}

export function registerDecrypt(program: Command, session: Session): void {
  const command = program
    .command("decrypt")
    .summary("decrypt files, trees or a stream")
    .description(`Decrypt FILE${SUFFIX} to FILE, or stdin to stdout. Written files are readable by their owner only.`)
    .argument("[FILE...]", `files, or folders with -r (takes *${SUFFIX}); none or - is stdin`)
    .option("-k, --key <KEY>", "accept this key only: alias or key id");
  dataOptions(command, "demand that the message is bound to this pair")
    .addOption(commitmentOption())
    .addHelpText(
      "after",
      `
Examples:
  keyladder decrypt -c tenant=acme invoices.csv${SUFFIX}
  keyladder decrypt < data.tar${SUFFIX} | tar t
  keyladder decrypt -o - report.pdf${SUFFIX} > report.pdf
  keyladder decrypt -r -o ./restored /backup

To stdout only verified bytes are written, yet they are incomplete unless the
exit code is 0: use "set -o pipefail", or -o FILE, which appears whole or not.

${EXIT_CODES_HELP}`,
    )
    .action((files: string[], _options: unknown, self: Command) => decrypt(session, files, self.optsWithGlobals()));
}

/** The name a message's file becomes. */
export function withoutSuffix(name: string): string | undefined {
  const bare = name.slice(0, -SUFFIX.length);
  return name.endsWith(SUFFIX) && !/(^|[\\/])$/.test(bare) ? bare : undefined;
}

/** What `flags` say about opening, for the library. */
export function openOptions(session: Session, flags: OpenFlags): Omit<DecryptOptions, "keyring"> {
  const { commitmentPolicy } = flags;
  return {
    context: parsePairs(flags.context, "-c"),
    signal: session.signal,
    ...(commitmentPolicy === undefined ? {} : { commitmentPolicy }),
  };
}

async function decrypt(session: Session, files: readonly string[], flags: OpenFlags): Promise<void> {
  const options = openOptions(session, flags);
  if (isPiped(files, flags)) {
    refuseTerminal(session, flags.output);
    await withOpener(session, flags, (keyring) => decryptPipe(session, files[0], flags, { ...options, keyring }));
    return;
  }
  const plan = await planFiles(files, {
    recursive: flags.recursive === true,
    output: flags.output,
    rename: withoutSuffix,
    leaveAlone: (name) => (withoutSuffix(name) === undefined ? `not named *${SUFFIX}` : undefined),
  });
  noteSkipped(session, plan);
  if (flags.dryRun === true) return dryRun(session, plan, flags);
  await withOpener(session, flags, (keyring) =>
    runBatch(session, plan.jobs, { done: "decrypted" }, async (job) => {
      await prepareTarget(job, { force: flags.force === true, dryRun: false });
      await decryptOne(session, job, flags, { ...options, keyring });
    }),
  );
}

async function decryptOne(session: Session, job: FileJob, flags: OpenFlags, options: DecryptOptions): Promise<void> {
  const progress = progressOf(job.from, session.out);
  try {
    const result = await decryptFile(job.from, job.to, {
      ...options,
      overwrite: flags.force === true,
      onProgress: ({ doneBytes, totalBytes }) => progress.update(doneBytes, totalBytes),
    });
    progress.stop();
    const context = contextText(result.context);
    const summary = `${oneLine(job.to)}  ${bytesText(result.plaintextBytes)}  opened by ${openerText(result)}`;
    session.out.result(context === "" ? summary : `${summary}  context: ${oneLine(context)}`, {
      file: job.from,
      output: job.to,
      ...result,
    });
  } finally {
    progress.stop();
  }
}

function openerText({ keyId, keyVersion }: OpenedBy): string {
  return oneLine(keyVersion === undefined ? keyId : `${keyId} v${keyVersion}`);
}

async function decryptPipe(
  session: Session,
  file: string | undefined,
  flags: OpenFlags,
  options: DecryptOptions,
): Promise<void> {
  // A file gets its name only once the signature has verified; stdout cannot take anything back.
  const intoFile = flags.output !== undefined && flags.output !== "-";
  let by: OpenedBy = { keyId: "" };
  const keyring = witness(options.keyring, (found) => {
    by = openedByOf(found);
  });
  const transform = decryptStream({ ...options, keyring, signed: intoFile ? "verify-at-end" : "refuse" });
  // The pipeline reports what goes wrong with the header; this promise would report it a second time, unhandled.
  const header = transform.header.catch(() => undefined);
  const target = { output: flags.output, force: flags.force === true, mode: 0o600 };
  const { inputBytes, outputBytes } = await pumpTo(session, file, transform, target);
  const context = (await header)?.context ?? {};
  const pairs = contextText(context);
  const summary = `${oneLine(outputName(flags.output))}  ${bytesText(outputBytes)}  opened by ${openerText(by)}`;
  session.out.result(
    pairs === "" ? summary : `${summary}  context: ${oneLine(pairs)}`,
    {
      file: file ?? "-",
      output: flags.output ?? "-",
      plaintextBytes: outputBytes,
      messageBytes: inputBytes,
      ...by,
      context,
    },
    "stderr",
  );
}
