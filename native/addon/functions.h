// What JavaScript can call. Each takes its arguments in the order its comment names them, and returns a number from 0 or
// an `Error`. A tag that does not verify is no error: `open` functions return 0 for it.

#ifndef KEYLADDER_ADDON_FUNCTIONS_H_
#define KEYLADDER_ADDON_FUNCTIONS_H_

#include "arguments.h"

namespace keyladder {

// Keys.
// keyImport(bytes): 1 to 64 bytes; a handle.
int64_t keyImport(Arguments& a);
// keyExport(raw, out): how many bytes it wrote. For keyrings, which must wrap a data key.
int64_t keyExport(Arguments& a);
// keyDispose(handle): of either kind; 0.
int64_t keyDispose(Arguments& a);
// messageKey(raw, kernel, hash, keyBytes, salt, info, commitInfo, commitment): HKDF (RFC 5869) with `hash` 256, 384 or
// 512; an empty `commitInfo` derives no commitment. A handle of a sealing key.
int64_t messageKey(Arguments& a);
// gcmKey(raw, kernel): the raw bytes as an AES key; a handle of a sealing key.
int64_t gcmKey(Arguments& a);

// One buffer.
// seal(key, nonce, aad, src, dst): dst = ciphertext | tag, is src or disjoint; 0.
int64_t seal(Arguments& a);
// open(key, nonce, aad, src, dst[, tag]): src = ciphertext | tag, or the ciphertext alone where `tag` is given.
// 1: opened, 0: not authentic, dst is zero.
int64_t open(Arguments& a);
// sealAt(key, arena, nonceAt, aadAt, aadBytes, srcAt, bytes, dstAt): all in one array; a nonce of 12 bytes; 0.
int64_t sealAt(Arguments& a);
// openAt(key, arena, nonceAt, aadAt, aadBytes, srcAt, bytes, dstAt): `bytes` of ciphertext, the tag behind them; 1 or 0.
int64_t openAt(Arguments& a);
// Lanes: see lanes.h. The memory, a Uint8Array over a SharedArrayBuffer at a multiple of 4 bytes, begins with six u32 in
// the machine's order, which count from its beginning: nonceAt (12 bytes), aadAt, aadBytes, srcAt, bytes, dstAt.
// laneBind(key, memory): the lane's number. It holds the key: disposed, that is wiped at the lane's next call or end.
int64_t laneBind(Arguments& a);
// laneSeal(lane): dst = ciphertext | tag, is src or disjoint; 0.
int64_t laneSeal(Arguments& a);
// laneOpen(lane): `bytes` of ciphertext at srcAt, the tag behind them; 1 or 0.
int64_t laneOpen(Arguments& a);
// laneFree(lane): 0.
int64_t laneFree(Arguments& a);
// sealHeader(key, nonce, aad, tag): the tag over no plaintext; 0.
int64_t sealHeader(Arguments& a);
// openHeader(key, nonce, aad, tag): 1 or 0.
int64_t openHeader(Arguments& a);
// ctr(key, nonce, src, dst): AES-CTR, for benchmarks; 0.
int64_t ctr(Arguments& a);

// Frames of a message. `finalBytes` is undefined where there is no final frame.
// With `pieceBytes` above 0, in pieces of about so much plaintext, which helpers may join in.
// sealFrames(key, messageId, frameBytes, firstSequence, regularFrames, finalBytes, src, dst[, pieceBytes]): disjoint; 0.
int64_t sealFrames(Arguments& a);
// openFrames(the same): dst disjoint, or in the same memory and starting no later than src (and then not in pieces); 1 or 0.
int64_t openFrames(Arguments& a);
// help(spinMicros): works on other threads' batches until there was none for so long; how many it joined.
int64_t help(Arguments& a);

// Records; `saltBytes` is 0 for AES-GCM, 8 to 12 for XAES-256-GCM; `aad` and `aadOffsets` may be undefined.
// sealRecords(key, saltBytes, prefix, nonces, src, srcOffsets, aad, aadOffsets, dst, dstOffsets): 0.
int64_t sealRecords(Arguments& a);
// openRecords(key, saltBytes, prefix, src, srcOffsets, aad, aadOffsets, dst, dstOffsets, status): how many did not open.
int64_t openRecords(Arguments& a);

}  // namespace keyladder

#endif  // KEYLADDER_ADDON_FUNCTIONS_H_
