/** Who seals and who opens: the ladder's key (-k), raw AES keys (--raw-aes), or both. */

import type { Keyring, Ladder, Unwrapper } from "../index.js";
import { multiKeyring } from "../index.js";
import { rawAesOf } from "./arguments.js";
import { usageError } from "./exit-codes.js";
import { type GlobalFlags, type Session, withLadder } from "./session.js";
import { oneLine } from "./text.js";

export interface MasterFlags extends GlobalFlags {
  readonly key?: string;
  readonly rawAes?: readonly string[];
}

/** A keyring that seals, and what to call it. */
export interface Sealer {
  readonly keyring: Keyring;
  readonly name: string;
}

/** Refuses a verb that seals without a key to seal under, before any file is looked at. */
export function requireKey(flags: MasterFlags): void {
  if (flags.key === undefined && (flags.rawAes ?? []).length === 0) {
    throw usageError("which key? -k KEY, or --raw-aes NAMESPACE/NAME=@FILE", "keyladder key list");
  }
}

async function rawKeyrings(flags: MasterFlags): Promise<{ keyring: Keyring; name: string }[]> {
  const found = [];
  for (const text of flags.rawAes ?? []) found.push(await rawAesOf(text));
  return found;
}

/** The ladder's key, checked to be there before any file is touched. */
async function ladderSealer(ladder: Ladder, key: string): Promise<Sealer> {
  const info = await ladder.keys.describe(key);
  return { keyring: ladder.keyring(key), name: `key ${oneLine(key)} v${info.keyVersion}` };
}

/** Lends the keyring to seal with (`requireKey` has passed): the generator first, every further master opens the message too. */
export async function withSealer<T>(
  session: Session,
  flags: MasterFlags,
  use: (sealer: Sealer) => Promise<T>,
): Promise<T> {
  const raw = await rawKeyrings(flags);
  const names = raw.map(({ name }) => `raw key ${oneLine(name)}`);
  const keyrings = raw.map(({ keyring }) => keyring);
  const { key } = flags;
  if (key !== undefined) {
    return withLadder(session, flags, async (ladder) => {
      const own = await ladderSealer(ladder, key);
      return use(merge([own.keyring, ...keyrings], [own.name, ...names]));
    });
  }
  return use(merge(keyrings, names));
}

function merge(keyrings: readonly Keyring[], names: readonly string[]): Sealer {
  const [first, ...further] = keyrings as [Keyring, ...Keyring[]];
  return { keyring: further.length === 0 ? first : multiKeyring(first, ...further), name: names.join(" + ") };
}

/** Lends what opens: the raw keys given; else, and besides them where -k is given, the ladder. */
export async function withOpener<T>(
  session: Session,
  flags: MasterFlags,
  use: (opener: Unwrapper) => Promise<T>,
): Promise<T> {
  const raw = (await rawKeyrings(flags)).map(({ keyring }) => keyring);
  const { key } = flags;
  if (raw.length > 0 && key === undefined) return use(anyOf(raw));
  return withLadder(session, flags, (ladder) =>
    use(anyOf([...raw, key === undefined ? ladder.keyring() : ladder.keyring(key)])),
  );
}

/** Lends both for `reencrypt`: the new message goes under -k, else under the raw keys; whatever is at hand opens the old. */
export async function withBoth<T>(
  session: Session,
  flags: MasterFlags,
  use: (from: Unwrapper, to: Sealer, ladder: Ladder | undefined) => Promise<T>,
): Promise<T> {
  const raw = await rawKeyrings(flags);
  const keyrings = raw.map(({ keyring }) => keyring);
  const { key } = flags;
  if (key !== undefined) {
    return withLadder(session, flags, async (ladder) =>
      use(anyOf([...keyrings, ladder.keyring()]), await ladderSealer(ladder, key), ladder),
    );
  }
  const names = raw.map(({ name }) => `raw key ${oneLine(name)}`);
  return use(anyOf(keyrings), merge(keyrings, names), undefined);
}

/** The first of them that knows one of the message's data keys. */
function anyOf(unwrappers: readonly Unwrapper[]): Unwrapper {
  const [only] = unwrappers;
  if (only !== undefined && unwrappers.length === 1) return only;
  return {
    async unwrapDataKey(request) {
      for (const unwrapper of unwrappers) {
        const found = await unwrapper.unwrapDataKey(request);
        if (found !== undefined) return found;
      }
      return undefined;
    },
  };
}
