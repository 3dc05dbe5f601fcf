/** Every error code: what it means and what to do. The compiler refuses a code without an entry. */

import type { ErrorCode } from "../index.js";
import { EXIT } from "./exit-codes.js";

export interface Explanation {
  readonly exit: number;
  readonly means: string;
  readonly todo: string;
}

const usage = (means: string, todo: string): Explanation => ({ exit: EXIT.usage, means, todo });
const format = (means: string, todo: string): Explanation => ({ exit: EXIT.format, means, todo });
const notAuthentic = (means: string, todo: string): Explanation => ({ exit: EXIT.notAuthentic, means, todo });
const notFound = (means: string, todo: string): Explanation => ({ exit: EXIT.notFound, means, todo });
const keyState = (means: string, todo: string): Explanation => ({ exit: EXIT.keyState, means, todo });
const hsm = (means: string, todo: string): Explanation => ({ exit: EXIT.hsm, means, todo });
const store = (means: string, todo: string): Explanation => ({ exit: EXIT.store, means, todo });
const limit = (means: string, todo: string): Explanation => ({ exit: EXIT.limit, means, todo });
const internal = (means: string, todo: string): Explanation => ({ exit: EXIT.internal, means, todo });

export const EXPLANATIONS: Readonly<Record<ErrorCode, Explanation>> = Object.freeze({
  ERR_INPUT: usage(
    "The call or the command line is wrong; the message names the argument.",
    "Change the argument. --help shows examples.",
  ),
  ERR_OUTPUT_TOO_SMALL: usage(
    'The array given as "out" is shorter than the result.',
    "Give a longer array, or none: a fresh one is returned.",
  ),
  ERR_OVERLAP: usage(
    'The array given as "out" overlaps the input without starting at the same byte.',
    "Use a separate array, or one that starts exactly where the input does.",
  ),
  ERR_CLOSED: usage(
    "The ladder, stream or key was closed or disposed before this call.",
    "Open it again; look for a close() that runs too early.",
  ),
  ERR_FILE_EXISTS: usage(
    "The output exists, and existing files are never replaced unasked.",
    "Name another output with -o, or replace it with -f (library: overwrite: true).",
  ),
  ERR_NOT_IN_THIS_RUNTIME: usage(
    "This function needs Node.js and was called in a browser or at the edge.",
    "Call it on a server; in a browser use the functions that take a keyring.",
  ),
  ERR_FORMAT: format(
    "The bytes are not what they should be: a message, a token file or a record with impossible content. Often the file " +
      "is simply something else, or was damaged on its way. The offset, where given, is the first byte that is wrong.",
    "Check that it is the right file (keyladder inspect FILE) and that it was copied in binary mode; fetch it again.",
  ),
  ERR_TRUNCATED: format(
    "The message ends too early: it was cut. What a stream released before this is incomplete, and files are not written at all.",
    "Fetch the message again; compare its size with the original. A broken download or a full disk is the usual cause.",
  ),
  ERR_TRAILING_BYTES: format(
    "There are bytes behind the end of the message. They are not authenticated, so the whole is refused.",
    "Remove what was appended; two messages in one file must be split first.",
  ),
  ERR_LOOKS_LIKE_BASE64: format(
    "The message is base64 text, not bytes.",
    "Decode it first: base64 -d FILE | keyladder decrypt (library: Buffer.from(text, 'base64')).",
  ),
  ERR_UNSUPPORTED_VERSION: format(
    "The first byte names a format version this release does not know.",
    "Check that it is a message; if it is, use a newer keyladder.",
  ),
  ERR_DECRYPT: notAuthentic(
    "The message is not authentic: it was changed, or sealed under another key or context. Which of these is deliberately " +
      "not told apart. Nothing unverified was released.",
    "Check the key and the context pairs that were used to encrypt; compare the file with its original.",
  ),
  ERR_CONTEXT_MISMATCH: notAuthentic(
    "A context pair you demand (-c) is missing in the message or has another value there. The message belongs to another " +
      "tenant, record or purpose than you think.",
    "See what it is bound to with keyladder inspect. Demand that only if it is what you meant to open.",
  ),
  ERR_COMMITMENT_POLICY: notAuthentic(
    "The message was written without key commitment (format version 1), and the policy requires it: without commitment a " +
      "crafted message can open to different plaintexts under different keys.",
    "If you trust who wrote it: --commitment-policy REQUIRE_ENCRYPT_ALLOW_DECRYPT, then reencrypt it, which commits.",
  ),
  ERR_SIGNED_STREAM: notAuthentic(
    "The message is signed, and its signature is only seen at the very end: streaming it would release bytes before it is checked.",
    "Write to a file (-o FILE), which appears only after the signature verified (library: signed: 'verify-at-end').",
  ),
  ERR_KEY_NOT_FOUND: notFound(
    "This ladder has no key of that id or alias, in the tenant asked.",
    "keyladder key list shows the keys; doctor shows which ladder is open.",
  ),
  ERR_LADDER_NOT_FOUND: notFound(
    "There is no ladder in that folder. None is ever made by accident.",
    "Name the right one with -L DIR or KEYLADDER_HOME; a new one: keyladder init.",
  ),
  ERR_NO_KEYRING_MATCHED: notFound(
    "None of the keys at hand wrapped this message's data key: it was sealed under other keys or another ladder.",
    "keyladder inspect shows which keys wrapped it. Open it with one of those.",
  ),
  ERR_KEY_NOT_ACTIVE: keyState(
    "The key is not active yet: its activation date lies ahead.",
    "Wait for the date, or use another key: keyladder key describe KEY.",
  ),
  ERR_KEY_SUSPENDED: keyState(
    "Someone suspended the key; nothing may be sealed or opened under it.",
    "keyladder key describe KEY, then keyladder key resume KEY if the reason is settled.",
  ),
  ERR_KEY_DEACTIVATED: keyState(
    "The key's time to encrypt is over; old messages still open.",
    "Encrypt under another key.",
  ),
  ERR_KEY_USAGE: keyState(
    "The key was made for another purpose than this operation.",
    "Use a key of the right usage: keyladder key describe KEY shows it.",
  ),
  ERR_KEY_EXISTS: keyState(
    "A key has that alias already.",
    "Choose another alias, or take the existing key: --if-not-exists (library: ifExists: 'return').",
  ),
  ERR_TRANSITION: keyState(
    "A key in this state cannot change to the state asked for.",
    "keyladder key describe KEY shows its state; only suspended keys can be resumed.",
  ),
  ERR_ACCESS_DENIED: {
    exit: EXIT.denied,
    means: "The principal acting may not do this with this key.",
    todo: "Act as someone who may, or have an administrator allow it.",
  },
  ERR_HSM_REFUSED: hsm(
    "The token will not do it: this token did not make this store, or a wrapped key does not unwrap under its master key.",
    "Put the token and the store that belong together side by side; restore the right pair from a backup.",
  ),
  ERR_HSM_UNAVAILABLE: hsm(
    "The token is away, busy or closed.",
    "Try again; keyladder status shows whether it answers.",
  ),
  ERR_PASSPHRASE: hsm(
    "The token does not open: the passphrase or key file is wrong, or the token file was changed. It is not tried again.",
    "Check where the passphrase comes from (keyladder doctor names the source), then the token file against its backup.",
  ),
  ERR_STORE_TAMPERED: store(
    "A record in the store is not what was sealed there: edited, swapped, copied from elsewhere or rolled back.",
    "Treat it as an attack or a failed restore: stop writing, keep a copy of the store, restore a backup that belongs to this token.",
  ),
  ERR_STORE_NEWER: store(
    "The store was written by a later release.",
    "Use that release or a newer one. Nothing was changed.",
  ),
  ERR_STORE_CONFLICT: store(
    "Someone else changed the same record at the same time. Nothing was written.",
    "Try again: the new state is read first.",
  ),
  ERR_STORE_UNAVAILABLE: store(
    "The store is locked or busy.",
    "Try again; look for another process that holds it for long.",
  ),
  ERR_IO: store(
    "The file system failed: a full disk, missing rights, a read-only folder, or a file that others could have written. " +
      "Nothing half-written is left under the final name.",
    "Mend what the message names, then run the same command again.",
  ),
  ERR_ENGINE_SELF_TEST: internal(
    "The encryption engine did not reproduce known answers on this machine: its results cannot be trusted.",
    "Choose another engine (KEYLADDER_ENGINE=openssl) and report the machine and versions.",
  ),
  ERR_ENGINE_UNAVAILABLE: internal(
    "The engine asked for is not in this build or does not run on this machine.",
    "Leave KEYLADDER_ENGINE unset: the best that works is chosen.",
  ),
  ERR_WORKER_DIED: internal(
    "A helper thread ended early. What it helped with was done by the others: no result is missing or wrong.",
    "Nothing; where it recurs, report it, or set KEYLADDER_POOL=0 to do without helper threads.",
  ),
  ERR_INTERNAL: internal(
    "A fault of keyladder itself.",
    "Report it, with the command, the versions and the message; never send keys or data.",
  ),
  ERR_LIMIT_DATA_KEYS: limit(
    "The message carries more encrypted data keys than allowed: each could cost a call to the token.",
    "If you trust its sender, raise maxEncryptedDataKeys in the library.",
  ),
  ERR_LIMIT_PLAINTEXT: limit(
    "The plaintext is larger than the bound given, than a key may seal, or than a stream may hold back.",
    "Raise the bound, use smaller frames, or open it whole with decrypt in the library.",
  ),
  ERR_LIMIT_HEADER: limit(
    "Context and encrypted data keys together exceed what a message header can hold.",
    "Use fewer or shorter context pairs; a context holds 65,535 bytes at most.",
  ),
  ERR_KEYSET_EXHAUSTED: limit(
    "The primary key of a record keyset has sealed as many records as it may; more random nonces would repeat one.",
    "keyladder records rotate -k KEY --keyset NAME: a new primary key; what was sealed still opens. Where the error says so, a lease was only being renewed: try again.",
  ),
  ERR_LIMIT_QUEUE: limit("Too much work waits already.", "Wait for some of it to finish; send less at a time."),
});
