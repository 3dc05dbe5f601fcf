// What a kernel offers, over any vector width. A kernel file brings the instructions as a struct `I` (see
// gcm_avx512.cc) and includes gcm_block.h before it and this behind it, all inside its own target region.

#ifndef KEYLADDER_KERNELS_GCM_DRIVER_H_
#define KEYLADDER_KERNELS_GCM_DRIVER_H_

#include "gcm_frames.h"
#include "gcm_records.h"
#include "gcm_text.h"

namespace keyladder {
namespace {

// More stack than the functions below use together (GCC: 1664 bytes for one buffer, 4400 for a batch); the
// native tests look how deep every call went and for traces of secrets behind it.
constexpr size_t kOneStackBytes = 1792;
constexpr size_t kBatchStackBytes = 5120;

// Overwrites the stack below the caller, where a function that has just returned kept its spilled registers. Neither
// alignment nor a canary may keep the array away from the caller's frame: what lies between them would stay.
template <class I, size_t kBytes>
KL_NOINLINE KL_NO_CANARY void wipeStack() {
  alignas(16) uint8_t stack[kBytes];
  typename I::V zero = I::zero();
  KL_ONCE(zero);  // known to be zero, the stores would become one slow `rep stos`
  KL_UNROLL for (size_t at = 0; at < kBytes; at += sizeof(typename I::V)) I::store(stack + at, zero);
  __asm__ volatile("" : : "r"(stack) : "memory");
}

// Secrets stay neither in registers nor on the stack below the entry.
template <class I, size_t kBytes>
KL_INLINE void wipeTraces() {
  wipeStack<I, kBytes>();
  I::clearRegisters();
  clearGeneralRegisters();
}

template <class I>
struct Gcm {
  using T = Text<I>;

  // --- one buffer

  static KL_NOINLINE void sealOne(const GcmKey* key, const uint8_t* nonce, size_t nonceBytes, const uint8_t* aad,
                                  size_t aadBytes, const uint8_t* src, size_t bytes, uint8_t* dst, uint8_t* tag) {
    const __m128i j0 = T::firstCounter(key, nonce, nonceBytes);
    const __m128i y = T::absorb(key, _mm_setzero_si128(), aad, aadBytes);
    block::store(tag, T::template tagOf<true>(key, j0, block::encipher(key, j0), y, aadBytes, src, bytes, dst,
                                           nonceBytes != kNonceBytes));
  }

  static KL_NOINLINE bool openOne(const GcmKey* key, const uint8_t* nonce, size_t nonceBytes, const uint8_t* aad,
                                  size_t aadBytes, const uint8_t* src, size_t bytes, const uint8_t* tag, uint8_t* dst,
                                  uint8_t* scratch) {
    const __m128i found = block::load(tag);
    const __m128i j0 = T::firstCounter(key, nonce, nonceBytes);
    const __m128i y = T::absorb(key, _mm_setzero_si128(), aad, aadBytes);
    uint8_t* out = scratch == nullptr ? dst : scratch;
    const __m128i computed = T::template tagOf<false>(key, j0, block::encipher(key, j0), y, aadBytes, src, bytes, out,
                                                        nonceBytes != kNonceBytes);
    const bool opened = block::equal(computed, found);
    if (!opened) __builtin_memset(dst, 0, bytes);
    else if (out != dst) T::copy(dst, out, bytes);
    return opened;
  }

  // --- what leaves this file: each wipes the registers and the stack it used

  static KL_NOINLINE void expandOut(GcmKey* key, const uint8_t* bytes, size_t keyBytes) { T::expand(key, bytes, keyBytes); }
  static KL_NOINLINE void blockOut(const GcmKey* key, const uint8_t* src, uint8_t* dst) {
    block::store(dst, block::encipher(key, block::load(src)));
  }

  static void expandEntry(GcmKey* key, const uint8_t* bytes, size_t keyBytes) {
    expandOut(key, bytes, keyBytes);
    wipeTraces<I, kOneStackBytes>();
  }
  static void blockEntry(const GcmKey* key, const uint8_t src[16], uint8_t dst[16]) {
    blockOut(key, src, dst);
    wipeTraces<I, kOneStackBytes>();
  }
  static void sealEntry(const GcmKey* key, const uint8_t* nonce, size_t nonceBytes, const uint8_t* aad,
                        size_t aadBytes, const uint8_t* src, size_t bytes, uint8_t* dst, uint8_t* tag) {
    sealOne(key, nonce, nonceBytes, aad, aadBytes, src, bytes, dst, tag);
    wipeTraces<I, kOneStackBytes>();
  }
  static bool openEntry(const GcmKey* key, const uint8_t* nonce, size_t nonceBytes, const uint8_t* aad,
                        size_t aadBytes, const uint8_t* src, size_t bytes, const uint8_t* tag, uint8_t* dst,
                        uint8_t* scratch) {
    const bool opened = openOne(key, nonce, nonceBytes, aad, aadBytes, src, bytes, tag, dst, scratch);
    wipeTraces<I, kOneStackBytes>();
    return opened;
  }
  static void sealFramesEntry(const GcmKey* key, const FrameBatch* batch) {
    Frames<I>::sealFrames(key, batch);
    wipeTraces<I, kBatchStackBytes>();
  }
  static bool openFramesEntry(const GcmKey* key, const FrameBatch* batch) {
    const bool opened = Frames<I>::openFrames(key, batch);
    wipeTraces<I, kBatchStackBytes>();
    return opened;
  }
  static void sealRecordsEntry(const GcmKey* key, const RecordBatch* batch) {
    Records<I>::sealRecords(key, batch);
    wipeTraces<I, kBatchStackBytes>();
  }
  static size_t openRecordsEntry(const GcmKey* key, const RecordBatch* batch) {
    const size_t failed = Records<I>::openRecords(key, batch);
    wipeTraces<I, kBatchStackBytes>();
    return failed;
  }
  static void ctrEntry(const GcmKey* key, const uint8_t nonce[12], const uint8_t* src, size_t bytes, uint8_t* dst) {
    T::ctrOnly(key, nonce, src, bytes, dst);
    wipeTraces<I, kOneStackBytes>();
  }

  static constexpr Kernel kernel(const char* name, void (*sha512)(uint64_t*, const uint8_t*)) {
    return {name,           expandEntry,     blockEntry,      sealEntry,        openEntry,
            sealFramesEntry, openFramesEntry, sealRecordsEntry, openRecordsEntry, ctrEntry,
            sha512};
  }
};

}  // namespace
}  // namespace keyladder

#endif  // KEYLADDER_KERNELS_GCM_DRIVER_H_
