#include "../kernels/xaes.h"
#include "functions.h"

namespace keyladder {

namespace {

constexpr size_t kMaxPrefixBytes = 16;

// Offsets that other threads cannot change any more: checked, then used.
struct Table {
  const uint32_t* offsets;
  size_t count;  // values

  uint32_t length(size_t i) const { return offsets[i + 1] - offsets[i]; }
};

// Copies `given` to `into`; they must ascend and end within `bytes`.
Error copyOffsets(const Offsets& given, size_t bytes, uint32_t* into, Table& table) {
  std::memcpy(into, given.data, given.count * sizeof *into);
  uint32_t decreases = 0;
  for (size_t i = 1; i < given.count; i++) decreases |= into[i] < into[i - 1];
  const uint32_t last = into[given.count - 1];
  if (decreases != 0 || last > bytes || last > given.limit) return kOffsets;
  table = {into, given.count - 1};
  return kOk;
}

// What sealing and opening have in common. The tables' memory is the caller's.
struct Records {
  KeyHandle handle;
  size_t saltBytes, overhead;
  View prefix, src, aad, dst;
  Offsets srcOffsets, aadOffsets, dstOffsets;
  bool hasAad;

  bool outputTouchesInput() const {
    return overlap(dst, src) || overlap(dst, prefix) || (hasAad && overlap(dst, aad));
  }
  // Bytes of the copies of all offsets, and of `status`.
  size_t tableBytes() const { return (3 * sizeof(uint32_t) + 1) * srcOffsets.count; }
};

// (key, saltBytes, prefix, ..., from `at`: src, srcOffsets, aad, aadOffsets, dst, dstOffsets)
Error readRecords(Arguments& a, size_t at, Records& r) {
  r.handle = a.handle(0);
  r.saltBytes = a.whole(1, kMaxSaltBytes);
  r.prefix = a.input(2);
  r.src = a.input(at);
  r.srcOffsets = a.offsets(at + 1);
  r.hasAad = !a.isUndefined(at + 2);
  r.aad = r.hasAad ? a.input(at + 2) : View{nullptr, 0, false};
  r.aadOffsets = r.hasAad ? a.offsets(at + 3) : Offsets{nullptr, 0, 0};
  r.dst = a.bytes(at + 4);
  r.dstOffsets = a.offsets(at + 5);
  if (a.error() != kOk) return a.error();
  if (r.prefix.bytes > kMaxPrefixBytes || (r.saltBytes != 0 && r.saltBytes < kMinSaltBytes)) return kBadArgument;
  if (r.hasAad && r.aadOffsets.count != r.srcOffsets.count) return kOffsets;
  if (r.dstOffsets.count != r.srcOffsets.count) return kOffsets;
  r.overhead = r.prefix.bytes + r.saltBytes + kNonceBytes + kTagBytes;
  return kOk;
}

// Private tables for a batch: source, associated data, destination, status.
struct Tables {
  Table src, aad;
  uint32_t* dst;
  uint8_t* status;
};

Error readTables(const Records& r, uint8_t* memory, Tables& t) {
  uint32_t* const words = reinterpret_cast<uint32_t*>(memory);
  const size_t count = r.srcOffsets.count;
  if (const Error error = copyOffsets(r.srcOffsets, r.src.bytes, words, t.src)) return error;
  t.aad = {nullptr, 0};
  if (r.hasAad) {
    if (const Error error = copyOffsets(r.aadOffsets, r.aad.bytes, words + count, t.aad)) return error;
  }
  t.dst = words + 2 * count;
  t.status = memory + 3 * count * sizeof *words;
  return kOk;
}

// A copy: the prefix that is compared or written must be one and the same for the whole batch.
RecordBatch batchOf(const Records& r, const Tables& t, uint8_t* prefixCopy) {
  std::memcpy(prefixCopy, r.prefix.data, r.prefix.bytes);
  RecordBatch batch = {};
  batch.count = t.src.count;
  batch.prefix = prefixCopy;
  batch.prefixBytes = r.prefix.bytes;
  batch.src = r.src.data;
  batch.srcOffsets = t.src.offsets;
  batch.aad = r.hasAad ? r.aad.data : nullptr;
  batch.aadOffsets = t.aad.offsets;
  batch.dst = r.dst.data;
  batch.dstOffsets = t.dst;
  batch.status = t.status;
  return batch;
}

// What records of these lengths open to at most.
struct Plaintexts {
  uint64_t bytes;
  uint32_t longest;
};

Plaintexts plaintextsOf(const Table& records, uint32_t overhead) {
  uint32_t shortest = 0xffffffff, longest = 0;
  for (size_t i = 0; i < records.count; i++) {
    const uint32_t length = records.length(i);
    shortest = length < shortest ? length : shortest;
    longest = length > longest ? length : longest;
  }
  if (records.count == 0 || longest < overhead) return {0, 0};
  if (shortest >= overhead) {
    const uint64_t all = uint64_t{records.offsets[records.count]} - records.offsets[0];
    return {all - uint64_t{records.count} * overhead, longest - overhead};
  }
  uint64_t bytes = 0;
  for (size_t i = 0; i < records.count; i++) bytes += records.length(i) < overhead ? 0 : records.length(i) - overhead;
  return {bytes, longest - overhead};
}

// XAES-256-GCM takes an AES-256 key.
bool fits(const SealingKey& key, size_t saltBytes) { return saltBytes == 0 || key.gcm.keyBytes == 32; }

}  // namespace

int64_t sealRecords(Arguments& a) {
  Records r;
  const View nonces = a.input(3);
  if (const Error error = readRecords(a, 4, r)) return error;
  const Borrowed memory(a.environment().tables, r.tableBytes());
  if (memory.get() == nullptr) return kNoMemory;
  Tables t;
  if (const Error error = readTables(r, memory.get(), t)) return error;
  const size_t count = t.src.count;
  if (nonces.bytes != count * (r.saltBytes + kNonceBytes)) return kBadArgument;
  const uint64_t needed = uint64_t{t.src.offsets[count]} - t.src.offsets[0] + uint64_t{count} * r.overhead;
  if (needed > r.dstOffsets.limit) return kTooLong;
  if (needed > r.dst.bytes) return kTooSmall;
  if (r.outputTouchesInput() || overlap(r.dst, nonces)) return kOverlap;
  Pinned key;
  if (const Error error = key.pin(KeyKind::kSealing, r.handle)) return error;
  const SealingKey& k = key.sealing();
  if (!fits(k, r.saltBytes)) return kBadArgument;
  uint8_t prefix[kMaxPrefixBytes];
  RecordBatch batch = batchOf(r, t, prefix);
  batch.nonces = nonces.data;
  if (r.saltBytes == 0) k.kernel->sealRecords(&k.gcm, &batch);
  else xaesSealRecords(*k.kernel, &k.gcm, r.saltBytes, &batch);
  std::memcpy(r.dstOffsets.data, t.dst, (count + 1) * sizeof *t.dst);
  return kOk;
}

int64_t openRecords(Arguments& a) {
  Records r;
  if (const Error error = readRecords(a, 3, r)) return error;
  const View status = a.input(9);
  if (a.error() != kOk) return a.error();
  const Borrowed memory(a.environment().tables, r.tableBytes());
  if (memory.get() == nullptr) return kNoMemory;
  Tables t;
  if (const Error error = readTables(r, memory.get(), t)) return error;
  const size_t count = t.src.count;
  if (status.bytes != count) return kBadArgument;
  const Plaintexts plain = plaintextsOf(t.src, static_cast<uint32_t>(r.overhead));
  const uint64_t needed = plain.bytes;
  if (needed > r.dstOffsets.limit) return kTooLong;
  if (needed > r.dst.bytes) return kTooSmall;
  if (r.outputTouchesInput() || overlap(r.dst, status)) return kOverlap;
  const Borrowed scratch(a.environment().plaintext, r.dst.shared ? plain.longest + 1 : 0);
  if (r.dst.shared && scratch.get() == nullptr) return kNoMemory;
  Pinned key;
  if (const Error error = key.pin(KeyKind::kSealing, r.handle)) return error;
  const SealingKey& k = key.sealing();
  if (!fits(k, r.saltBytes)) return kBadArgument;
  uint8_t prefix[kMaxPrefixBytes];
  RecordBatch batch = batchOf(r, t, prefix);
  batch.scratch = r.dst.shared ? scratch.get() : nullptr;
  const size_t failed = r.saltBytes == 0 ? k.kernel->openRecords(&k.gcm, &batch)
                                         : xaesOpenRecords(*k.kernel, &k.gcm, r.saltBytes, &batch);
  std::memcpy(r.dstOffsets.data, t.dst, (count + 1) * sizeof *t.dst);
  std::memcpy(status.data, t.status, count);
  return static_cast<int64_t>(failed);
}

}  // namespace keyladder
