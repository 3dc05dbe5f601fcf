/** Every number of the wire format and every default bound, each with its source. */

/** AES-GCM nonce, SP 800-38D 8.2.1. */
export const NONCE_BYTES = 12;
/** AES-GCM tag, SP 800-38D 5.2.1.2, the longest allowed. */
export const TAG_BYTES = 16;
/** Commitment in the suite data field of a version 2 header. */
export const COMMITMENT_BYTES = 32;
export const MESSAGE_ID_BYTES = { 1: 16, 2: 32 } as const;

/** Frame length where the caller names none: the format's default. */
export const DEFAULT_FRAME_BYTES = 4096;
/** u32 field. */
export const MAX_FRAME_BYTES = 0xffff_ffff;
/** Sequence numbers are u32 and FFFFFFFF marks the final frame, which carries the last number itself. */
export const MAX_FRAMES = 0xffff_ffff;
/** Marks a final frame, in the place of a sequence number. */
export const FINAL_FRAME_MARK = 0xffff_ffff;
/** seq u32, nonce, tag. */
export const REGULAR_FRAME_OVERHEAD_BYTES = 4 + NONCE_BYTES + TAG_BYTES;
/** mark u32, seq u32, nonce, length u32, tag. */
export const FINAL_FRAME_OVERHEAD_BYTES = 4 + 4 + NONCE_BYTES + 4 + TAG_BYTES;
/** A non-framed body is one GCM invocation: 2^36 - 32 bytes, SP 800-38D 5.2.1.1. */
export const MAX_NON_FRAMED_BYTES = 2n ** 36n - 32n;

/** OpenSSL takes less than 2 GiB in one call: longer inputs go in as pieces of this size. */
export const MAX_CALL_BYTES = 2 ** 30;

/** A P-384 signature in DER is at most 2 + 2 * (2 + 49) bytes long (FIPS 186-5, X9.62), behind a u16 length. */
export const MAX_FOOTER_BYTES = 2 + 104;

/** u16 fields. */
export const MAX_FIELD_BYTES = 0xffff;
/** The format's bound on the count of encrypted data keys: a u16. */
export const MAX_DATA_KEYS = 0xffff;
/** Our default bound (ladder rule 12): opening a message must not cost a stranger's thousand unwraps. */
export const DEFAULT_MAX_DATA_KEYS = 64;
/**
 * The most a stream holds back before a tag can be checked: one frame, or a whole non-framed body. A message that
 * needs more is opened with `decrypt`, where it is in memory already, or after raising `maxPlaintextBytes`.
 */
export const DEFAULT_MAX_HELD_BYTES = 64 * 1024 * 1024;
/** Context keys with this prefix belong to the message format. */
export const RESERVED_CONTEXT_PREFIX = "aws-crypto-";
/** The pair that carries a signed message's public key: base64 of the compressed point. */
export const PUBLIC_KEY_CONTEXT_KEY = "aws-crypto-public-key";
/** Context keys with this prefix belong to this package (ladder-spec B). */
export const OWN_CONTEXT_PREFIX = "keyladder:";
/** What a message of ours is for, where it is not data: `decrypt` refuses those (ladder-spec C). */
export const PURPOSE_CONTEXT_KEY = "keyladder:purpose";
export const KEYSET_PURPOSE = "tink-keyset/v1";
/** The name of the keyset in such a message. */
export const KEYSET_NAME_CONTEXT_KEY = "keyladder:keyset";
