#include "xaes.h"

#include <cstring>

#include "traces.h"

namespace keyladder {

namespace {

// More stack than the functions below use themselves; the kernel wipes what it used below them.
constexpr size_t kStackBytes = 3072;

// Times x in GF(2^128), most significant bit first (SP 800-38B 6.1). Constant time.
void timesX(uint8_t block[16]) {
  const uint8_t carry = static_cast<uint8_t>(-(block[0] >> 7));
  for (size_t i = 0; i < 15; i++) block[i] = static_cast<uint8_t>(block[i] << 1 | block[i + 1] >> 7);
  block[15] = static_cast<uint8_t>(block[15] << 1 ^ (carry & 0x87));
}

// The keys of the records of one batch: what depends on the master key alone is computed once. Wiped at the end.
class RecordKeys {
 public:
  RecordKeys(const Kernel& kernel, const GcmKey* master, size_t saltBytes)
      : kernel_(kernel), master_(master), saltBytes_(saltBytes) {
    std::memset(mask_, 0, sizeof mask_);
    kernel.block(master, mask_, mask_);
    timesX(mask_);
  }
  RecordKeys(const RecordKeys&) = delete;
  RecordKeys& operator=(const RecordKeys&) = delete;
  ~RecordKeys() {
    wipe(mask_, sizeof mask_);
    wipe(bytes_, sizeof bytes_);
    wipe(&key_, sizeof key_);
  }

  // CMAC(master, 00 01 58 00 | salt) | CMAC(master, 00 02 58 00 | salt): a salt shorter than 12 bytes is filled up with
  // zeros, as Tink has it, so that the input is one whole block always.
  const GcmKey* derive(const uint8_t* salt) {
    for (uint8_t half = 0; half < 2; half++) {
      uint8_t input[16] = {0, static_cast<uint8_t>(half + 1), 'X', 0};
      std::memcpy(input + 4, salt, saltBytes_);
      uint8_t* out = bytes_ + 16 * half;
      for (size_t i = 0; i < 16; i++) out[i] = input[i] ^ mask_[i];
      kernel_.block(master_, out, out);
    }
    kernel_.expand(&key_, bytes_, sizeof bytes_);
    return &key_;
  }

 private:
  const Kernel& kernel_;
  const GcmKey* master_;
  size_t saltBytes_;
  uint8_t mask_[16];
  uint8_t bytes_[32];
  GcmKey key_;
};

struct Aad {
  const uint8_t* begin;
  size_t bytes;
};

Aad aadOf(const RecordBatch* batch, size_t i) {
  if (batch->aad == nullptr) return {nullptr, 0};
  return {batch->aad + batch->aadOffsets[i], batch->aadOffsets[i + 1] - batch->aadOffsets[i]};
}

KL_NOINLINE void sealAll(const Kernel& kernel, const GcmKey* master, size_t saltBytes, const RecordBatch* batch) {
  RecordKeys keys(kernel, master, saltBytes);
  uint8_t* at = batch->dst;
  batch->dstOffsets[0] = 0;
  for (size_t i = 0; i < batch->count; i++) {
    // Copied once: what derives the key is what stands in the record.
    uint8_t nonce[kMaxSaltBytes + kNonceBytes];
    std::memcpy(nonce, batch->nonces + i * (saltBytes + kNonceBytes), saltBytes + kNonceBytes);
    if (batch->prefixBytes > 0) std::memcpy(at, batch->prefix, batch->prefixBytes);
    at += batch->prefixBytes;
    std::memcpy(at, nonce, saltBytes + kNonceBytes);
    at += saltBytes + kNonceBytes;
    const Aad aad = aadOf(batch, i);
    const size_t bytes = batch->srcOffsets[i + 1] - batch->srcOffsets[i];
    kernel.seal(keys.derive(nonce), nonce + saltBytes, kNonceBytes, aad.begin, aad.bytes,
                batch->src + batch->srcOffsets[i], bytes, at, at + bytes);
    at += bytes + kTagBytes;
    batch->dstOffsets[i + 1] = static_cast<uint32_t>(at - batch->dst);
  }
}

KL_NOINLINE size_t openAll(const Kernel& kernel, const GcmKey* master, size_t saltBytes, const RecordBatch* batch) {
  RecordKeys keys(kernel, master, saltBytes);
  const size_t overhead = batch->prefixBytes + saltBytes + kNonceBytes + kTagBytes;
  size_t failed = 0;
  uint32_t at = 0;
  batch->dstOffsets[0] = 0;
  for (size_t i = 0; i < batch->count; i++) {
    const uint8_t* record = batch->src + batch->srcOffsets[i];
    const size_t recordBytes = batch->srcOffsets[i + 1] - batch->srcOffsets[i];
    RecordStatus status = kRecordTooShort;
    if (recordBytes >= overhead) {
      const size_t bytes = recordBytes - overhead;
      const uint8_t* body = record + batch->prefixBytes + saltBytes + kNonceBytes;
      uint8_t nonce[kMaxSaltBytes + kNonceBytes];
      std::memcpy(nonce, record + batch->prefixBytes, saltBytes + kNonceBytes);
      const Aad aad = aadOf(batch, i);
      if (batch->prefixBytes > 0 && std::memcmp(record, batch->prefix, batch->prefixBytes) != 0) {
        status = kRecordOtherPrefix;
      } else if (kernel.open(keys.derive(nonce), nonce + saltBytes, kNonceBytes, aad.begin, aad.bytes, body, bytes,
                             body + bytes, batch->dst + at, batch->scratch)) {
        status = kRecordOpened;
        at += static_cast<uint32_t>(bytes);
      } else {
        status = kRecordNotAuthentic;
      }
    }
    batch->status[i] = status;
    if (status != kRecordOpened) failed++;
    batch->dstOffsets[i + 1] = at;
  }
  return failed;
}

}  // namespace

void xaesSealRecords(const Kernel& kernel, const GcmKey* master, size_t saltBytes, const RecordBatch* batch) {
  sealAll(kernel, master, saltBytes, batch);
  wipeStackBelow<kStackBytes>();
  clearVectorRegisters();
  clearGeneralRegisters();
}

size_t xaesOpenRecords(const Kernel& kernel, const GcmKey* master, size_t saltBytes, const RecordBatch* batch) {
  const size_t failed = openAll(kernel, master, saltBytes, batch);
  wipeStackBelow<kStackBytes>();
  clearVectorRegisters();
  clearGeneralRegisters();
  return failed;
}

}  // namespace keyladder
