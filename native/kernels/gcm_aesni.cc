// AES-GCM with AES-NI and PCLMULQDQ: eight blocks in flight. dst is src or disjoint.
// Thread-safe; constant time.

#include "compiler.h"
#include "kernel.h"
#include "traces.h"

#if defined(KEYLADDER_X86_KERNELS)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("aes,pclmul,sse4.1"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("aes,pclmul,sse4.1")
#endif

#include "gcm_block.h"

namespace keyladder {
namespace {

// 16 bytes of ones, 16 of zeros: a window into it keeps the first bytes of a vector.
alignas(16) const uint8_t kKeep[32] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                       0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

struct Aesni {
  using V = __m128i;
  static constexpr bool kGroups = false;

  static KL_INLINE V zero() { return _mm_setzero_si128(); }
  static KL_INLINE V load(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const V*>(p)); }
  static KL_INLINE void store(uint8_t* p, V v) { _mm_storeu_si128(reinterpret_cast<V*>(p), v); }
  // `bytes` is 0 to 16.
  static KL_INLINE V loadPartial(const uint8_t* p, size_t bytes) {
    if (bytes == sizeof(V)) return load(p);
    alignas(16) uint8_t padded[16] = {0};
    __builtin_memcpy(padded, p, bytes);
    return load(padded);
  }
  static KL_INLINE void storePartial(uint8_t* p, V v, size_t bytes) {
    if (bytes == sizeof(V)) return store(p, v);
    alignas(16) uint8_t whole[16];
    store(whole, v);
    __builtin_memcpy(p, whole, bytes);
  }
  static KL_INLINE V keepBytes(V v, size_t bytes) { return _mm_and_si128(v, load(kKeep + 16 - bytes)); }

  static KL_INLINE V broadcast(const uint8_t* p) { return load(p); }
  static KL_INLINE V broadcast(__m128i v) { return v; }
  static KL_INLINE V fromBlock(__m128i v) { return v; }
  static KL_INLINE __m128i fold(V v) { return v; }

  // A block in each lane.
  static KL_INLINE V gather(const __m128i* b) { return b[0]; }
  static KL_INLINE void scatter(V v, __m128i* b) { b[0] = v; }

  static KL_INLINE V exclusiveOr(V a, V b) { return _mm_xor_si128(a, b); }
  static KL_INLINE V exclusiveOr(V a, V b, V c) { return _mm_xor_si128(a, _mm_xor_si128(b, c)); }
  static KL_INLINE V aesenc(V v, V k) { return _mm_aesenc_si128(v, k); }
  static KL_INLINE V aesenclast(V v, V k) { return _mm_aesenclast_si128(v, k); }
  template <int kHalves>
  static KL_INLINE V clmul(V a, V b) { return _mm_clmulepi64_si128(a, b, kHalves); }

  static KL_INLINE V reverse(V v) {
    return _mm_shuffle_epi8(v, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  }
  // Adds `n` to each lane's lowest word; to each lane's highest.
  static KL_INLINE V addLow(V v, int n) { return _mm_add_epi32(v, broadcast(_mm_set_epi32(0, 0, 0, n))); }
  static KL_INLINE V addWords(V v, uint32_t n) {
    return _mm_add_epi32(v, broadcast(_mm_set_epi32(static_cast<int>(n), 0, 0, 0)));
  }
  // The counter blocks that follow J0 of a 12-byte nonce, one a lane, in wire order.
  static KL_INLINE V countLanes(__m128i j0) {
    return _mm_add_epi32(broadcast(j0), _mm_set_epi32(1 << 24, 0, 0, 0));
  }
  static KL_INLINE V swapHalves(V v) { return _mm_shuffle_epi32(v, 0x4E); }
  static KL_INLINE V addLanes(V v, int n) { return addLow(v, n); }

  static KL_INLINE V multiplyLanes(V a, V b) {
    V lo = clmul<0x00>(a, b);
    V hi = clmul<0x11>(a, b);
    const V mid = exclusiveOr(clmul<0x01>(a, b), clmul<0x10>(a, b));
    lo = exclusiveOr(lo, _mm_slli_si128(mid, 8));
    hi = exclusiveOr(hi, _mm_srli_si128(mid, 8));
    const V p = _mm_set_epi64x(static_cast<long long>(0xC200000000000000ULL), 0);
    V t = exclusiveOr(_mm_shuffle_epi32(lo, 0x4E), clmul<0x10>(lo, p));
    t = exclusiveOr(_mm_shuffle_epi32(t, 0x4E), clmul<0x10>(t, p));
    return exclusiveOr(hi, t);
  }

  static KL_INLINE void clearRegisters() {
    __asm__ volatile(
        "pxor %%xmm0, %%xmm0\n\t"
        "pxor %%xmm1, %%xmm1\n\t"
        "pxor %%xmm2, %%xmm2\n\t"
        "pxor %%xmm3, %%xmm3\n\t"
        "pxor %%xmm4, %%xmm4\n\t"
        "pxor %%xmm5, %%xmm5\n\t"
        "pxor %%xmm6, %%xmm6\n\t"
        "pxor %%xmm7, %%xmm7\n\t"
        "pxor %%xmm8, %%xmm8\n\t"
        "pxor %%xmm9, %%xmm9\n\t"
        "pxor %%xmm10, %%xmm10\n\t"
        "pxor %%xmm11, %%xmm11\n\t"
        "pxor %%xmm12, %%xmm12\n\t"
        "pxor %%xmm13, %%xmm13\n\t"
        "pxor %%xmm14, %%xmm14\n\t"
        "pxor %%xmm15, %%xmm15\n\t"
        : : : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                     "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  }

  template <class G>
  static KL_INLINE void sealGroup(const GcmKey*, const RecordBatch*, size_t, __m128i, uint32_t*) {}
  template <class G>
  static KL_INLINE size_t openGroup(const GcmKey*, const RecordBatch*, size_t, __m128i, uint32_t*) { return 0; }
};

}  // namespace
}  // namespace keyladder

#include "gcm_driver.h"

namespace keyladder {
const Kernel kAesni = Gcm<Aesni>::kernel("aesni", nullptr);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // KEYLADDER_X86_KERNELS
