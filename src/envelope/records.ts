/**
 * Records: millions of small fields under the keys of one keyset, in Tink's wire format (prefix, nonce, ciphertext,
 * tag). They do not commit to their key: whoever knows two keys can make a record that opens under both.
 */

import { type Bytes, copyOf, utf8, wipe } from "../bytes.js";
import { InputError } from "../errors.js";
import { type KeptKeysetOptions, KeptOpenKeyset, type OpenKeyset } from "./open-keyset.js";
import {
  type Arena,
  checkArena,
  namesOtherKey,
  type OpenedArena,
  openArenaUnder,
  recordFailed,
  sealArenaUnder,
} from "./record-arena.js";
import { checkList, checkValue, copyValue, type Piece, piecesOf, Turns, wipePiece } from "./record-batches.js";
import { NoncePool } from "./record-nonces.js";

export interface OneOptions {
  /** Authenticated with the record, not stored: the same bytes open it. Left out: none. */
  readonly aad?: Uint8Array;
  /** Receives the result, which is its subarray. Disjoint from the input. */
  readonly out?: Uint8Array;
}

export interface BatchOptions {
  /** The associated data of each value. Left out: none for any. */
  readonly aad?: (index: number) => Uint8Array;
  readonly signal?: AbortSignal;
}

export interface SealArenaOptions {
  /** The associated data of each value, in the same layout. Left out: none for any. */
  readonly aad?: Arena;
  /** Receives the result: at least as many offsets, disjoint from the input. */
  readonly out?: Arena;
}

export interface OpenArenaOptions extends SealArenaOptions {
  /** Given: values that do not open are left empty, and their indices put here, in place of what it held. */
  readonly failed?: number[];
}

export interface RecordsInfo {
  /** The keyset's name; "" for one that has none. */
  readonly keyset: string;
  readonly primaryKeyId: number;
  readonly keyIds: readonly number[];
  /** How many the primary key may still seal, over all processes, as far as this one knows. */
  readonly recordsLeft: number;
}

/** Records under a keyset that cannot be changed from here. */
export interface OpenedRecords extends Disposable {
  /**
   * @param plaintext borrowed; text is sealed as UTF-8
   * @throws InputError ERR_INPUT, ERR_OUTPUT_TOO_SMALL, ERR_OVERLAP, ERR_CLOSED · LimitError ERR_KEYSET_EXHAUSTED · KeyStateError
   */
  seal(plaintext: Uint8Array | string, options?: OneOptions): Bytes;
  /** @throws DecryptError ERR_DECRYPT · FormatError ERR_TRUNCATED · as `seal` */
  open(record: Uint8Array, options?: OneOptions): Bytes;
  /** All or nothing: rejects at the first that fails, with its `index`. */
  sealBatch(plaintexts: readonly Uint8Array[], options?: BatchOptions): Promise<Bytes[]>;
  openBatch(records: readonly Uint8Array[], options?: BatchOptions): Promise<Bytes[]>;
  /** What became of each. */
  openBatchSettled(records: readonly Uint8Array[], options?: BatchOptions): Promise<PromiseSettledResult<Bytes>[]>;
  /** The fastest way: one call for as many values as there are, no work for each. */
  sealArena(input: Arena, options?: SealArenaOptions): Arena;
  /** Throws for the first that fails, with its `index`, and releases none; with `failed`, opens the others. */
  openArena(input: Arena, options?: OpenArenaOptions): Arena;
  /** One chunk is one record. */
  sealStream(options?: BatchOptions): TransformStream<Uint8Array, Bytes>;
  openStream(options?: BatchOptions): TransformStream<Uint8Array, Bytes>;
  /** The keyset as a Tink EncryptedKeyset, for `openRecords` anywhere. */
  export(): Promise<Bytes>;
  readonly info: RecordsInfo;
}

export interface Records extends OpenedRecords {
  /** A new primary key, saved before it is used; the older ones go on opening. */
  rotate(): Promise<void>;
}

const NO_OPTIONS = Object.freeze({});
const ONE_OPTIONS: ReadonlySet<string> = new Set(["aad", "out"]);
const BATCH_OPTIONS: ReadonlySet<string> = new Set(["aad", "signal"]);
const OPEN_ARENA_OPTIONS: ReadonlySet<string> = new Set(["aad", "out", "failed"]);
/** What one offset can say. */
const MAX_ONE_BYTES = 0xffff_ffff;

/** A given option that is undefined is a mistake, not the wish for none: what is bound must not depend on a slip. */
function readOptions<T extends object>(options: T, known: ReadonlySet<string>): T {
  if (options === NO_OPTIONS) return options;
  if (typeof options !== "object" || options === null) throw new InputError("ERR_INPUT", "expected an options object");
  // No array of names: this is on the way of every record that is sealed alone.
  for (const name in options) {
    if (!known.has(name)) throw new InputError("ERR_INPUT", `unknown option "${name}"`);
    if (options[name] === undefined) throw new InputError("ERR_INPUT", `"${name}" is undefined: leave it out for none`);
  }
  return options;
}

function readBatchOptions(options: BatchOptions): BatchOptions {
  const { aad } = readOptions(options, BATCH_OPTIONS);
  if (aad === undefined || typeof aad === "function") return options;
  throw new InputError("ERR_INPUT", '"aad" expected a function from index to Uint8Array');
}

function oneValue(bytes: unknown, name: string): Arena {
  if (!(bytes instanceof Uint8Array)) throw new InputError("ERR_INPUT", `"${name}" expected a Uint8Array`);
  if (bytes.length > MAX_ONE_BYTES) throw new InputError("ERR_INPUT", `"${name}" is too long for a record`);
  return { bytes, offsets: Uint32Array.of(0, bytes.length) };
}

/** `Records` over an open keyset. */
export class KeysetRecords<K extends OpenKeyset> implements OpenedRecords {
  protected readonly keyset: K;
  readonly #nonces = new NoncePool();
  #status = new Uint8Array(64);

  constructor(keyset: K) {
    this.keyset = keyset;
  }

  get info(): RecordsInfo {
    const { name, keys, quota } = this.keyset;
    return { keyset: name, primaryKeyId: keys.primary.keyId, keyIds: [...keys.keyIds], recordsLeft: quota.left };
  }

  seal(plaintext: Uint8Array | string, options: OneOptions = NO_OPTIONS): Bytes {
    const { aad, out } = readOptions(options, ONE_OPTIONS);
    const isText = typeof plaintext === "string";
    const input = oneValue(isText ? utf8(plaintext, '"plaintext"') : plaintext, "plaintext");
    try {
      const given = { ...(aad && { aad: oneValue(aad, "aad") }), ...(out && { out: oneValue(out, "out") }) };
      return this.sealArena(input, given).bytes as Bytes;
    } finally {
      if (isText) wipe(input.bytes);
    }
  }

  open(record: Uint8Array, options: OneOptions = NO_OPTIONS): Bytes {
    const { aad, out } = readOptions(options, ONE_OPTIONS);
    const given = { ...(aad && { aad: oneValue(aad, "aad") }), ...(out && { out: oneValue(out, "out") }) };
    const opened = this.#open(oneValue(record, "record"), given.aad, given.out);
    if (opened.failed > 0) throw recordFailed(opened.status[0] as number);
    return opened.arena.bytes as Bytes;
  }

  sealArena(input: Arena, options: SealArenaOptions = NO_OPTIONS): Arena {
    const { aad, out } = readOptions(options, ONE_OPTIONS);
    const { primary } = this.keyset.keysFor("encrypt");
    const values = checkArena(input, "input");
    const bound = aad && checkArena(aad, "aad");
    const to = out && checkArena(out, "out");
    this.keyset.quota.take(values.offsets.length - 1);
    return sealArenaUnder(primary, this.#nonces, values, bound, to);
  }

  openArena(input: Arena, options: OpenArenaOptions = NO_OPTIONS): Arena {
    const { aad, out, failed } = readOptions(options, OPEN_ARENA_OPTIONS);
    if (failed !== undefined && !Array.isArray(failed)) throw new InputError("ERR_INPUT", '"failed" expected an array');
    const opened = this.#open(checkArena(input, "input"), aad && checkArena(aad, "aad"), out && checkArena(out, "out"));
    if (failed !== undefined) failed.length = 0;
    if (opened.failed === 0) return opened.arena;
    for (let i = 0; i < opened.status.length; i++) {
      const status = opened.status[i] as number;
      if (status === 0) continue;
      if (failed === undefined) {
        wipe(opened.arena.bytes);
        throw recordFailed(status, i);
      }
      failed.push(i);
    }
    return opened.arena;
  }

  async sealBatch(plaintexts: readonly Uint8Array[], options: BatchOptions = NO_OPTIONS): Promise<Bytes[]> {
    const { aad, signal } = readBatchOptions(options);
    const records: Bytes[] = [];
    const turns = new Turns();
    for (const piece of piecesOf(checkList(plaintexts), aad)) {
      try {
        await turns.next(signal);
        await this.keyset.current();
        await this.keyset.quota.takeWhenLeased(piece.to - piece.from);
        const { primary } = this.keyset.keysFor("encrypt");
        const sealed = sealArenaUnder(primary, this.#nonces, piece.values, piece.aad, undefined);
        for (let i = 0; i < piece.to - piece.from; i++) records.push(copyValue(sealed, i));
      } finally {
        wipePiece(piece);
      }
    }
    return records;
  }

  async openBatch(records: readonly Uint8Array[], options: BatchOptions = NO_OPTIONS): Promise<Bytes[]> {
    const plaintexts: Bytes[] = [];
    try {
      for await (const { piece, opened } of this.#openPieces(records, options)) {
        const bad = opened.status.findIndex((status) => status !== 0);
        if (bad >= 0) throw recordFailed(opened.status[bad] as number, piece.from + bad);
        for (let i = 0; i < opened.status.length; i++) plaintexts.push(copyValue(opened.arena, i));
      }
      return plaintexts;
    } catch (error) {
      for (const plaintext of plaintexts) wipe(plaintext);
      throw error;
    }
  }

  async openBatchSettled(
    records: readonly Uint8Array[],
    options: BatchOptions = NO_OPTIONS,
  ): Promise<PromiseSettledResult<Bytes>[]> {
    const results: PromiseSettledResult<Bytes>[] = [];
    for await (const { piece, opened } of this.#openPieces(records, options)) {
      for (let i = 0; i < opened.status.length; i++) {
        const status = opened.status[i] as number;
        if (status === 0) results.push({ status: "fulfilled", value: copyValue(opened.arena, i) });
        else results.push({ status: "rejected", reason: recordFailed(status, piece.from + i) });
      }
    }
    return results;
  }

  sealStream(options: BatchOptions = NO_OPTIONS): TransformStream<Uint8Array, Bytes> {
    return this.#stream(options, async (value) => {
      await this.keyset.current();
      await this.keyset.quota.takeWhenLeased(1);
      const { primary } = this.keyset.keysFor("encrypt");
      return sealArenaUnder(primary, this.#nonces, value.values, value.aad, undefined).bytes as Bytes;
    });
  }

  openStream(options: BatchOptions = NO_OPTIONS): TransformStream<Uint8Array, Bytes> {
    return this.#stream(options, async (value) => {
      const opened = await this.#openWithNews(value);
      if (opened.failed > 0) throw recordFailed(opened.status[0] as number, value.from);
      return opened.arena.bytes as Bytes;
    });
  }

  async export(): Promise<Bytes> {
    await this.keyset.refresh();
    return copyOf(this.keyset.sealed);
  }

  [Symbol.dispose](): void {
    void this.keyset.close();
  }

  #open(input: Arena, aad: Arena | undefined, out: Arena | undefined): OpenedArena {
    const keys = this.keyset.keysFor("decrypt");
    const count = input.offsets.length - 1;
    if (this.#status.length < count) this.#status = new Uint8Array(count);
    return openArenaUnder(keys, input, aad, out, this.#status);
  }

  /** A record may name a key that another process has made since: then the keyset is looked at again. */
  async #openWithNews({ values, aad, from, to }: Piece): Promise<OpenedArena> {
    await this.keyset.current();
    const status = new Uint8Array(to - from);
    const opened = openArenaUnder(this.keyset.keysFor("decrypt"), values, aad, undefined, status);
    if (opened.failed === 0 || !namesOtherKey(status) || !(await this.keyset.refresh())) return opened;
    wipe(opened.arena.bytes);
    return openArenaUnder(this.keyset.keysFor("decrypt"), values, aad, undefined, status);
  }

  async *#openPieces(records: readonly Uint8Array[], options: BatchOptions) {
    const { aad, signal } = readBatchOptions(options);
    const turns = new Turns();
    for (const piece of piecesOf(checkList(records), aad)) {
      await turns.next(signal);
      const opened = await this.#openWithNews(piece);
      try {
        yield { piece, opened };
      } finally {
        wipe(opened.arena.bytes);
      }
    }
  }

  #stream(options: BatchOptions, transform: (value: Piece) => Promise<Bytes>): TransformStream<Uint8Array, Bytes> {
    const { aad, signal } = readBatchOptions(options);
    let index = 0;
    return new TransformStream({
      async transform(chunk: unknown, controller) {
        signal?.throwIfAborted();
        const value = oneValue(checkValue(chunk, index, "chunk"), "chunk");
        const bound = aad && oneValue(checkValue(aad(index), index, "the associated data of chunk"), "aad");
        controller.enqueue(await transform({ from: index, to: index + 1, values: value, aad: bound }));
        index++;
      },
    });
  }
}

/** Records whose keyset lives somewhere, and can be rotated there. */
export class KeptRecords extends KeysetRecords<KeptOpenKeyset> implements Records {
  static async open(options: KeptKeysetOptions): Promise<KeptRecords> {
    return new KeptRecords(await KeptOpenKeyset.open(options));
  }

  async rotate(): Promise<void> {
    await this.keyset.rotate();
  }

  /** Wipes the keys and gives back what was leased. Idempotent; never rejects. */
  close(): Promise<void> {
    return this.keyset.close();
  }

  /** Nothing is left to give back. */
  get closed(): boolean {
    return this.keyset.closed;
  }
}
