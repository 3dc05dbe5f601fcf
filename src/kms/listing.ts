/** A list that is read page by page, or whole with `for await`. */

import { concat, fromBase64, readU64, toBase64, u64 } from "../bytes.js";
import { InputError } from "../errors.js";
import { ID_BYTES } from "./record.js";

export interface Listing<T> extends AsyncIterable<T> {
  /** From `cursor` (the `next` of the page before) or the start. `limit` is from 1 to 1000, default 100. */
  page(cursor?: string, limit?: number): Promise<{ items: T[]; next?: string }>;
}

/** A place in (createdAt, recordId) order. */
export interface Position {
  readonly createdAt: number;
  readonly recordId: Uint8Array;
}

/** One step of a scan: what it found fit, and where it ended; undefined at the end of the list. */
export type Scan<T> = (
  after: Position | undefined,
  limit: number,
) => Promise<{ items: T[]; last: Position | undefined }>;

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

/** A listing over a scan, which may return fewer items than it looked at. */
export function listing<T>(scan: Scan<T>): Listing<T> {
  const page = async (cursor?: string, limit: number = DEFAULT_LIMIT) => {
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
      throw new InputError("ERR_INPUT", `"limit" expected a whole number from 1 to ${MAX_LIMIT}`);
    }
    let after = cursor === undefined ? undefined : parseCursor(cursor);
    const items: T[] = [];
    while (items.length < limit) {
      const step = await scan(after, limit - items.length);
      items.push(...step.items);
      if (step.last === undefined) return { items };
      after = step.last;
    }
    return after === undefined ? { items } : { items, next: cursorOf(after) };
  };
  return {
    page,
    async *[Symbol.asyncIterator]() {
      for (let next: string | undefined; ; ) {
        const { items, next: following }: { items: T[]; next?: string } = await page(next);
        yield* items;
        if (following === undefined) return;
        next = following;
      }
    },
  };
}

function cursorOf({ createdAt, recordId }: Position): string {
  return toBase64(concat(u64(createdAt), recordId));
}

function parseCursor(cursor: unknown): Position {
  const bytes = typeof cursor === "string" ? fromBase64(cursor) : undefined;
  if (bytes?.length !== 8 + ID_BYTES) throw new InputError("ERR_INPUT", '"cursor" expected the "next" of a page');
  return { createdAt: Number(readU64(bytes, 0)), recordId: bytes.slice(8) };
}
