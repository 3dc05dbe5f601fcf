#include "functions.h"

namespace keyladder {

namespace {

// Whether an output touches what the kernel reads besides the text itself.
bool touches(const View& dst, const View& nonce, const View& aad) { return overlap(dst, nonce) || overlap(dst, aad); }

// `begin` to `begin + bytes` of an array; false where that does not lie in it.
bool within(const View& array, uint64_t begin, uint64_t bytes) {
  return begin <= array.bytes && bytes <= array.bytes - begin;
}

View part(const View& array, uint64_t begin, uint64_t bytes) {
  return {array.data + begin, static_cast<size_t>(bytes), array.shared};
}

int64_t openInto(Arguments& a, KeyHandle handle, const View& nonce, const View& aad, const View& ciphertext,
                 const uint8_t* tag, const View& dst) {
  Pinned key;
  if (const Error error = key.pin(KeyKind::kSealing, handle)) return error;
  const SealingKey& k = key.sealing();
  const size_t bytes = ciphertext.bytes;
  // The verdict must fall over one tag: in shared memory it could change.
  uint8_t tagCopy[kTagBytes];
  std::memcpy(tagCopy, tag, kTagBytes);
  if (!dst.shared) {
    return k.kernel->open(&k.gcm, nonce.data, nonce.bytes, aad.data, aad.bytes, ciphertext.data, bytes, tagCopy, dst.data,
                          nullptr);
  }
  const Borrowed scratch(a.environment().plaintext, bytes + 1);
  if (scratch.get() == nullptr) return kNoMemory;
  return k.kernel->open(&k.gcm, nonce.data, nonce.bytes, aad.data, aad.bytes, ciphertext.data, bytes, tagCopy, dst.data,
                        scratch.get());
}

}  // namespace

int64_t seal(Arguments& a) {
  const KeyHandle handle = a.handle(0);
  const View nonce = a.input(1), aad = a.input(2), src = a.input(3);
  View dst = a.input(4);
  if (a.error() != kOk) return a.error();
  if (nonce.bytes == 0) return kBadArgument;
  if (src.bytes > kMaxPlaintextBytes) return kTooLong;
  if (dst.bytes < kTagBytes || dst.bytes - kTagBytes < src.bytes) return kTooSmall;
  dst.bytes = src.bytes + kTagBytes;
  if (touches(dst, nonce, aad) || (dst.data != src.data && overlap(dst, src))) return kOverlap;
  Pinned key;
  if (const Error error = key.pin(KeyKind::kSealing, handle)) return error;
  const SealingKey& k = key.sealing();
  k.kernel->seal(&k.gcm, nonce.data, nonce.bytes, aad.data, aad.bytes, src.data, src.bytes, dst.data,
                 dst.data + src.bytes);
  return kOk;
}

int64_t open(Arguments& a) {
  const KeyHandle handle = a.handle(0);
  const View nonce = a.input(1), aad = a.input(2);
  View src = a.input(3), dst = a.bytes(4);
  const bool apart = !a.isUndefined(5);
  const View tag = apart ? a.input(5) : src;
  if (a.error() != kOk) return a.error();
  if (nonce.bytes == 0 || (apart ? tag.bytes != kTagBytes : src.bytes < kTagBytes)) return kBadArgument;
  if (!apart) src.bytes -= kTagBytes;
  const uint8_t* tagAt = apart ? tag.data : src.end();
  if (src.bytes > kMaxPlaintextBytes) return kTooLong;
  if (dst.bytes < src.bytes) return kTooSmall;
  dst.bytes = src.bytes;
  if (touches(dst, nonce, aad) || overlap(dst.data, dst.bytes, tagAt, kTagBytes) ||
      (dst.data != src.data && overlap(dst, src))) {
    return kOverlap;
  }
  return openInto(a, handle, nonce, aad, src, tagAt, dst);
}

int64_t sealAt(Arguments& a) {
  const KeyHandle handle = a.handle(0);
  const View arena = a.input(1);
  const uint64_t nonceAt = a.whole(2), aadAt = a.whole(3), aadBytes = a.whole(4);
  const uint64_t srcAt = a.whole(5), bytes = a.whole(6, kMaxPlaintextBytes), dstAt = a.whole(7);
  if (a.error() != kOk) return a.error();
  if (!within(arena, nonceAt, kNonceBytes) || !within(arena, aadAt, aadBytes) || !within(arena, srcAt, bytes)) {
    return kOutside;
  }
  if (!within(arena, dstAt, bytes + kTagBytes)) return kTooSmall;
  const View nonce = part(arena, nonceAt, kNonceBytes), aad = part(arena, aadAt, aadBytes);
  const View src = part(arena, srcAt, bytes), dst = part(arena, dstAt, bytes + kTagBytes);
  if (touches(dst, nonce, aad) || (dst.data != src.data && overlap(dst, src))) return kOverlap;
  Pinned key;
  if (const Error error = key.pin(KeyKind::kSealing, handle)) return error;
  const SealingKey& k = key.sealing();
  k.kernel->seal(&k.gcm, nonce.data, kNonceBytes, aad.data, aad.bytes, src.data, src.bytes, dst.data,
                 dst.data + bytes);
  return kOk;
}

int64_t openAt(Arguments& a) {
  const KeyHandle handle = a.handle(0);
  const View arena = a.bytes(1);
  const uint64_t nonceAt = a.whole(2), aadAt = a.whole(3), aadBytes = a.whole(4);
  const uint64_t srcAt = a.whole(5), bytes = a.whole(6, kMaxPlaintextBytes), dstAt = a.whole(7);
  if (a.error() != kOk) return a.error();
  if (!within(arena, nonceAt, kNonceBytes) || !within(arena, aadAt, aadBytes) ||
      !within(arena, srcAt, bytes + kTagBytes)) {
    return kOutside;
  }
  if (!within(arena, dstAt, bytes)) return kTooSmall;
  const View nonce = part(arena, nonceAt, kNonceBytes), aad = part(arena, aadAt, aadBytes);
  const View src = part(arena, srcAt, bytes), dst = part(arena, dstAt, bytes);
  if (touches(dst, nonce, aad) || overlap(dst.data, dst.bytes, src.end(), kTagBytes) ||
      (dst.data != src.data && overlap(dst, src))) {
    return kOverlap;
  }
  return openInto(a, handle, nonce, aad, src, src.end(), dst);
}

int64_t sealHeader(Arguments& a) {
  const KeyHandle handle = a.handle(0);
  const View nonce = a.input(1), aad = a.input(2), tag = a.input(3);
  if (a.error() != kOk) return a.error();
  if (nonce.bytes == 0) return kBadArgument;
  if (tag.bytes < kTagBytes) return kTooSmall;
  if (touches(tag, nonce, aad)) return kOverlap;
  Pinned key;
  if (const Error error = key.pin(KeyKind::kSealing, handle)) return error;
  const SealingKey& k = key.sealing();
  k.kernel->seal(&k.gcm, nonce.data, nonce.bytes, aad.data, aad.bytes, nonce.data, 0, tag.data, tag.data);
  return kOk;
}

int64_t openHeader(Arguments& a) {
  const KeyHandle handle = a.handle(0);
  const View nonce = a.input(1), aad = a.input(2), tag = a.input(3);
  if (a.error() != kOk) return a.error();
  if (nonce.bytes == 0 || tag.bytes != kTagBytes) return kBadArgument;
  uint8_t none;
  return openInto(a, handle, nonce, aad, {nonce.data, 0, false}, tag.data, {&none, 0, false});
}

int64_t ctr(Arguments& a) {
  const KeyHandle handle = a.handle(0);
  const View nonce = a.input(1), src = a.input(2), dst = a.input(3);
  if (a.error() != kOk) return a.error();
  if (nonce.bytes != kNonceBytes) return kBadArgument;
  if (src.bytes > kMaxPlaintextBytes) return kTooLong;
  if (dst.bytes < src.bytes) return kTooSmall;
  if (overlap(dst, nonce) || (dst.data != src.data && overlap(dst, src))) return kOverlap;
  Pinned key;
  if (const Error error = key.pin(KeyKind::kSealing, handle)) return error;
  const SealingKey& k = key.sealing();
  k.kernel->ctr(&k.gcm, nonce.data, src.data, src.bytes, dst.data);
  return kOk;
}

}  // namespace keyladder
