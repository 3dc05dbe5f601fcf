#include "../dispatch/dispatch.h"
#include "../kernels/hkdf.h"
#include "functions.h"

namespace keyladder {

namespace {

constexpr size_t kMaxKeyBytes = 32;
constexpr size_t kCommitmentBytes = 32;

bool isAesKey(size_t bytes) { return bytes == 16 || bytes == 24 || bytes == 32; }

// Expands `bytes` into a slot of its own.
int64_t sealingKey(Arguments& a, const Kernel& kernel, const uint8_t* bytes, size_t keyBytes) {
  Pinned slot;
  if (const Error error = slot.create(KeyKind::kSealing, a.environment().owner)) return error;
  kernel.expand(&slot.sealing().gcm, bytes, keyBytes);
  slot.sealing().kernel = &kernel;
  return static_cast<int64_t>(slot.handle());
}

}  // namespace

int64_t keyImport(Arguments& a) {
  const View bytes = a.input(0);
  if (a.error() != kOk) return a.error();
  if (bytes.bytes == 0 || bytes.bytes > kMaxRawBytes) return kBadArgument;
  Pinned slot;
  if (const Error error = slot.create(KeyKind::kRaw, a.environment().owner)) return error;
  std::memcpy(slot.raw().bytes, bytes.data, bytes.bytes);
  slot.raw().length = static_cast<uint32_t>(bytes.bytes);
  return static_cast<int64_t>(slot.handle());
}

int64_t keyExport(Arguments& a) {
  const KeyHandle handle = a.handle(0);
  const View out = a.input(1);
  if (a.error() != kOk) return a.error();
  Pinned key;
  if (const Error error = key.pin(KeyKind::kRaw, handle)) return error;
  const size_t length = key.raw().length;
  if (out.bytes < length) return kTooSmall;
  std::memcpy(out.data, key.raw().bytes, length);
  return static_cast<int64_t>(length);
}

int64_t keyDispose(Arguments& a) {
  const KeyHandle handle = a.handle(0);
  return a.error() != kOk ? a.error() : disposeKey(handle);
}

int64_t messageKey(Arguments& a) {
  const KeyHandle handle = a.handle(0);
  const uint64_t kernel = a.whole(1);
  const uint64_t hash = a.whole(2);
  const uint64_t keyBytes = a.whole(3);
  const View salt = a.input(4);
  const View info = a.input(5);
  const View commitInfo = a.input(6);
  const View commitment = a.input(7);
  if (a.error() != kOk) return a.error();
  if (!isAesKey(keyBytes) || (hash != 256 && hash != 384 && hash != 512)) return kBadArgument;
  const bool commits = commitInfo.bytes > 0;
  if (commits && commitment.bytes < kCommitmentBytes) return kTooSmall;
  if (!isReady(kernel)) return kNoKernel;
  Pinned raw;
  if (const Error error = raw.pin(KeyKind::kRaw, handle)) return error;
  Wiped<kMaxKeyBytes> derived;
  const HashKind kind = hash == 256 ? HashKind::kSha256 : hash == 384 ? HashKind::kSha384 : HashKind::kSha512;
  const HkdfOutput outputs[] = {{info.data, info.bytes, derived.bytes, keyBytes},
                                {commitInfo.data, commitInfo.bytes, commitment.data, kCommitmentBytes}};
  hkdf(kind, raw.raw().bytes, raw.raw().length, salt.data, salt.bytes, outputs, commits ? 2 : 1,
       kKernels[kernel]->sha512);
  return sealingKey(a, *kKernels[kernel], derived.bytes, keyBytes);
}

int64_t gcmKey(Arguments& a) {
  const KeyHandle handle = a.handle(0);
  const uint64_t kernel = a.whole(1);
  if (a.error() != kOk) return a.error();
  if (!isReady(kernel)) return kNoKernel;
  Pinned raw;
  if (const Error error = raw.pin(KeyKind::kRaw, handle)) return error;
  if (!isAesKey(raw.raw().length)) return kBadArgument;
  return sealingKey(a, *kKernels[kernel], raw.raw().bytes, raw.raw().length);
}

}  // namespace keyladder
