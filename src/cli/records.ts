/** keyladder records: one field of every row, sealed and opened in a pipe; the keyset behind it rotated and exported. */

import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { openAtomicFile } from "../atomic-file.js";
import { type Arena, KeyladderError, type Ladder, type Records } from "../index.js";
import { collect, parsePairs } from "./arguments.js";
import { EXIT, EXIT_CODES_HELP, usageError } from "./exit-codes.js";
import { refuseTarget } from "./files.js";
import { CsvRows } from "./row-csv.js";
import type { RowFormat } from "./row-format.js";
import { JsonRows } from "./row-json.js";
import { MARK, type Outcome, type RowCounts, rowStage } from "./row-transform.js";
import { type GlobalFlags, type Session, withLadder } from "./session.js";
import { pumpTo, refuseTerminal } from "./streams.js";
import { oneLine } from "./text.js";

interface KeysetFlags extends GlobalFlags {
  readonly key?: string;
  readonly keyset?: string;
  readonly context?: readonly string[];
  readonly output?: string;
  readonly force?: boolean;
}

interface RowFlags extends KeysetFlags {
  readonly field?: string;
  readonly bind?: string;
  readonly format?: string;
  readonly prefix?: boolean;
  readonly jsonValues?: boolean;
  readonly keepGoing?: boolean;
}

type Direction = "seal" | "open";

export function registerRecords(program: Command, session: Session): void {
  const records = program
    .command("records")
    .summary("seal and open one field of many rows")
    .description(
      "Seal one field of every row of NDJSON or CSV, and open it again: Tink's wire format, under a keyset\nthat is kept in the ladder.",
    );
  registerRows(records, session, "seal");
  registerRows(records, session, "open");
  keysetOptions(records.command("rotate"))
    .description("Give the keyset a new primary key. What was sealed still opens.")
    .action((_options: unknown, self: Command) => rotate(session, self.optsWithGlobals()));
  keysetOptions(records.command("export"))
    .description("Write the keyset as a Tink encrypted keyset, sealed under the key: for openRecords() anywhere.")
    .option("-o, --output <OUT>", "where to write; - is stdout")
    .option("-f, --force", "replace an existing file")
    .action((_options: unknown, self: Command) => exportKeyset(session, self.optsWithGlobals()));
}

function keysetOptions(command: Command): Command {
  return command
    .option("-k, --key <KEY>", "the key the keyset is under: alias or key id")
    .option("--keyset <NAME>", "the keyset; `seal` makes it where there is none")
    .option("-c, --context <KEY=VALUE>", "bound to the keyset; stored in clear, for all to read", collect);
}

function registerRows(records: Command, session: Session, direction: Direction): void {
  const command = records
    .command(direction)
    .description(
      direction === "seal"
        ? `Seal one field of every row: its value becomes ${MARK} and base64. null and absent stay.`
        : "Open one field of every row.",
    )
    .argument("[FILE]", "rows; none or - is stdin");
  keysetOptions(command)
    .option("--field <NAME>", "the field: a top-level member, or a column")
    .option("--bind <NAME>", "bind the field to the row of this id: values cannot be moved to another row")
    .option("--format <FORMAT>", "ndjson (default) or csv, with a header")
    .option("--no-prefix", `plain base64, without ${MARK}: sealing twice is not noticed then`)
    .option("--json-values", "any JSON value, not strings alone")
    .option("--keep-going", "leave bad rows out, tell each, and exit 11")
    .option("-o, --output <OUT>", "where to write; - is stdout")
    .option("-f, --force", "replace an existing file")
    .addHelpText(
      "after",
      `
Examples:
  psql -c 'copy (select row_to_json(u) from users u) to stdout' |
    keyladder records seal -k orders --keyset users.email --field email --bind id > users.ndjson
  keyladder records open -k orders --keyset users.email --field email --bind id users.ndjson

A bad row ends it, with its line; the rows before it were written. In a pipe
use "set -o pipefail": output is complete only if every part exits 0.

${EXIT_CODES_HELP}`,
    )
    .action((file: string | undefined, _options: unknown, self: Command) =>
      rows(session, direction, file, self.optsWithGlobals()),
    );
}

async function rows(session: Session, direction: Direction, file: string | undefined, flags: RowFlags): Promise<void> {
  const { field, bind } = flags;
  const keyset = requireKeyset(flags);
  if (field === undefined || field === "") throw usageError("which field? --field NAME");
  if (bind === field) throw usageError("a field cannot be bound to itself: --bind names the row's id");
  if (flags.passphraseFd === 0 && (file ?? "-") === "-") {
    throw usageError("stdin cannot carry both the data and the passphrase", "--passphrase-fd 3 3< FILE");
  }
  const format = formatOf(flags, field, direction);
  await withLadder(session, flags, async (ladder) => {
    // Sealing makes the keyset before the first row. Opening waits for one: in a pipe, the sealing end makes it meanwhile.
    let opening = direction === "seal" ? recordsOf(ladder, flags, true) : undefined;
    const records = (): Promise<Records> => {
      opening ??= recordsOf(ladder, flags, false);
      return opening;
    };
    await opening;
    const scratch = new Scratch();
    const { stage, counts } = rowStage({
      direction,
      format,
      bindTo: bind === undefined ? undefined : bindingOf(keyset, field),
      marked: flags.prefix !== false,
      process: async (values, aad) =>
        direction === "seal"
          ? seal(await records(), values, aad, scratch)
          : open(await records(), values, aad, scratch),
      onBadRow(error) {
        if (flags.keepGoing !== true) throw error;
        session.out.error(error);
      },
    });
    const target = { output: flags.output, force: flags.force === true, mode: rowsMode(direction) };
    await pumpTo(session, file, stage, target);
    summarise(session, direction, flags, counts, (await records()).info.keyIds.length);
  });
}

function summarise(session: Session, direction: Direction, flags: RowFlags, counts: RowCounts, keys: number): void {
  const { field = "", bind, keyset = "" } = flags;
  const done = direction === "seal" ? "sealed" : "opened";
  const bound = bind === undefined ? "not bound to a row" : `bound to ${oneLine(bind)}`;
  session.out.result(
    `${done} ${grouped(counts.changed)} of ${grouped(counts.rows)} rows · field ${oneLine(field)} · ${bound} · ` +
      `keyset ${oneLine(keyset)} (${keys} key${keys === 1 ? "" : "s"})`,
    { [done]: counts.changed, rows: counts.rows, failed: counts.failed, field, ...(bind && { bind }), keyset },
    "stderr",
  );
  if (counts.failed > 0) session.exitCode = EXIT.someFailed;
}

/** Opened rows are for their owner alone, as decrypted files are. */
function rowsMode(direction: Direction): number {
  return direction === "seal" ? 0o666 : 0o600;
}

function formatOf({ format = "ndjson", bind, jsonValues }: RowFlags, field: string, direction: Direction): RowFormat {
  if (format === "ndjson") return new JsonRows({ field, bind, direction, jsonValues: jsonValues === true });
  if (format !== "csv") throw usageError(`--format expected ndjson or csv, got "${oneLine(format)}"`);
  if (jsonValues === true) throw usageError("--json-values is for ndjson: every value of CSV is text");
  return new CsvRows({ field, bind });
}

/** What a value is bound to besides its row's id: L("keyladder/row/v1") | lp16(keyset) | lp16(field). */
function bindingOf(keyset: string, field: string): Uint8Array {
  const parts = [Buffer.from("keyladder/row/v1\0")];
  for (const name of [keyset, field]) {
    const text = Buffer.from(name);
    if (text.length > 0xffff) throw usageError("a name of more than 65535 bytes");
    parts.push(Buffer.from([text.length >>> 8, text.length & 0xff]), text);
  }
  return new Uint8Array(Buffer.concat(parts));
}

const LEASE_WAIT_MS = 5;

/** Memory for what a call makes, used again at the next: nothing of it is kept. */
class Scratch {
  #arena: Arena = { bytes: new Uint8Array(0), offsets: new Uint32Array(0) };

  for(values: Arena, moreEach: number): Arena {
    const needed = values.bytes.length + values.offsets.length * moreEach;
    const { bytes, offsets } = this.#arena;
    if (bytes.length < needed || offsets.length < values.offsets.length) {
      this.#arena = { bytes: new Uint8Array(2 * needed), offsets: new Uint32Array(2 * values.offsets.length) };
    }
    return this.#arena;
  }
}

const NONE_FAILED: ReadonlyMap<number, KeyladderError> = new Map();
/** Prefix, 24 bytes of nonce at most, tag. */
const MOST_OVERHEAD_BYTES = 5 + 24 + 16;

async function seal(records: Records, values: Arena, aad: Arena | undefined, scratch: Scratch): Promise<Outcome> {
  const out = scratch.for(values, MOST_OVERHEAD_BYTES);
  for (;;) {
    try {
      return { values: records.sealArena(values, { out, ...(aad && { aad }) }), failed: NONE_FAILED };
    } catch (error) {
      if (!KeyladderError.is(error, "ERR_KEYSET_EXHAUSTED") || !error.retryable) throw error;
      await delay(LEASE_WAIT_MS); // a lease is under way
    }
  }
}

async function open(records: Records, values: Arena, aad: Arena | undefined, scratch: Scratch): Promise<Outcome> {
  const failed: number[] = [];
  const opened = records.openArena(values, { failed, out: scratch.for(values, 0), ...(aad && { aad }) });
  return failed.length === 0 ? { values: opened, failed: NONE_FAILED } : again(records, values, aad, opened, failed);
}

/** Those that failed once more, one by one: the keyset may have got a key meanwhile, and each has its own reason. */
async function again(
  records: Records,
  values: Arena,
  aad: Arena | undefined,
  opened: Arena,
  failed: readonly number[],
): Promise<Outcome> {
  const options = aad === undefined ? {} : { aad: (i: number) => valueAt(aad, failed[i] as number) };
  const results = await records.openBatchSettled(
    failed.map((index) => valueAt(values, index)),
    options,
  );
  const reasons = new Map<number, KeyladderError>();
  const found = new Map<number, Uint8Array>();
  results.forEach((result, i) => {
    const index = failed[i] as number;
    if (result.status === "fulfilled") found.set(index, result.value);
    else reasons.set(index, result.reason as KeyladderError);
  });
  if (found.size === 0) return { values: opened, failed: reasons };
  const all = Array.from({ length: opened.offsets.length - 1 }, (_, i) => found.get(i) ?? valueAt(opened, i));
  const offsets = new Uint32Array(all.length + 1);
  all.forEach((value, i) => {
    offsets[i + 1] = (offsets[i] as number) + value.length;
  });
  return { values: { bytes: new Uint8Array(Buffer.concat(all)), offsets }, failed: reasons };
}

function valueAt({ bytes, offsets }: Arena, index: number): Uint8Array {
  return bytes.subarray(offsets[index], offsets[index + 1]);
}

async function rotate(session: Session, flags: KeysetFlags): Promise<void> {
  const keyset = requireKeyset(flags);
  await withLadder(session, flags, async (ladder) => {
    const records = await recordsOf(ladder, flags, false);
    await records.rotate();
    const { primaryKeyId, keyIds } = records.info;
    const older = keyIds.length - 1;
    const text = `${oneLine(keyset)}  new primary key ${primaryKeyId}  ${older} older key${older === 1 ? "" : "s"} still open${older === 1 ? "s" : ""}`;
    session.out.result(text, { keyset, primaryKeyId, keyIds });
  });
}

async function exportKeyset(session: Session, flags: KeysetFlags): Promise<void> {
  const keyset = requireKeyset(flags);
  const { output } = flags;
  refuseTerminal(session, output);
  await withLadder(session, flags, async (ladder) => {
    const records = await recordsOf(ladder, flags, false);
    const bytes = await records.export();
    if (output === undefined || output === "-") {
      session.out.stdout.write(bytes);
    } else {
      await refuseTarget(output, flags.force === true);
      const file = await openAtomicFile(output, { overwrite: flags.force === true, mode: 0o666 });
      try {
        await file.handle.writeFile(bytes);
      } catch (error) {
        await file.discard();
        throw error;
      }
      await file.commit();
    }
    const { primaryKeyId, keyIds } = records.info;
    const text = `${oneLine(output ?? "stdout")}  keyset ${oneLine(keyset)} (${keyIds.length} keys), sealed under ${oneLine(flags.key ?? "")}`;
    session.out.result(text, { keyset, output: output ?? "-", bytes: bytes.length, primaryKeyId, keyIds }, "stderr");
  });
}

function requireKeyset({ key, keyset }: KeysetFlags): string {
  if (key === undefined) throw usageError("which key? -k KEY", "keyladder key list");
  if (keyset === undefined || keyset === "") throw usageError("which keyset? --keyset NAME");
  return keyset;
}

function recordsOf(ladder: Ladder, { key = "", keyset = "", context }: KeysetFlags, create: boolean): Promise<Records> {
  return ladder.records({ key, keyset, context: parsePairs(context, "-c"), create });
}

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}
