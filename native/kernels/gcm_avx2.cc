// AES-GCM with VAES and VPCLMULQDQ on 256-bit registers: eight of them, 16 blocks, in flight. dst is src or disjoint.
// Thread-safe; constant time.

#include "compiler.h"
#include "kernel.h"
#include "traces.h"

#if defined(KEYLADDER_X86_KERNELS)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,vaes,vpclmulqdq,aes,pclmul,sse4.1"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,vaes,vpclmulqdq,aes,pclmul,sse4.1")
#endif

#include "gcm_block.h"

namespace keyladder {
namespace {

// 32 bytes of ones, 32 of zeros: a window into it keeps the first bytes of a vector.
alignas(32) const uint8_t kKeep[64] = {
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

struct Avx2 {
  using V = __m256i;
  static constexpr bool kGroups = false;

  static KL_INLINE V zero() { return _mm256_setzero_si256(); }
  static KL_INLINE V load(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const V*>(p)); }
  static KL_INLINE void store(uint8_t* p, V v) { _mm256_storeu_si256(reinterpret_cast<V*>(p), v); }
  // `bytes` is 0 to 32.
  static KL_INLINE V loadPartial(const uint8_t* p, size_t bytes) {
    if (bytes == sizeof(V)) return load(p);
    alignas(32) uint8_t padded[32] = {0};
    __builtin_memcpy(padded, p, bytes);
    return load(padded);
  }
  static KL_INLINE void storePartial(uint8_t* p, V v, size_t bytes) {
    if (bytes == sizeof(V)) return store(p, v);
    alignas(32) uint8_t whole[32];
    store(whole, v);
    __builtin_memcpy(p, whole, bytes);
  }
  static KL_INLINE V keepBytes(V v, size_t bytes) { return _mm256_and_si256(v, load(kKeep + 32 - bytes)); }

  static KL_INLINE V broadcast(const uint8_t* p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static KL_INLINE V broadcast(__m128i v) { return _mm256_broadcastsi128_si256(v); }
  static KL_INLINE V fromBlock(__m128i v) { return _mm256_zextsi128_si256(v); }
  static KL_INLINE __m128i fold(V v) {
    return _mm_xor_si128(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  }

  // A block in each lane.
  static KL_INLINE V gather(const __m128i* b) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(b[0]), b[1], 1);
  }
  static KL_INLINE void scatter(V v, __m128i* b) {
    b[0] = _mm256_castsi256_si128(v);
    b[1] = _mm256_extracti128_si256(v, 1);
  }

  static KL_INLINE V exclusiveOr(V a, V b) { return _mm256_xor_si256(a, b); }
  static KL_INLINE V exclusiveOr(V a, V b, V c) { return _mm256_xor_si256(a, _mm256_xor_si256(b, c)); }
  static KL_INLINE V aesenc(V v, V k) { return _mm256_aesenc_epi128(v, k); }
  static KL_INLINE V aesenclast(V v, V k) { return _mm256_aesenclast_epi128(v, k); }
  template <int kHalves>
  static KL_INLINE V clmul(V a, V b) { return _mm256_clmulepi64_epi128(a, b, kHalves); }

  static KL_INLINE V reverse(V v) {
    return _mm256_shuffle_epi8(v, broadcast(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)));
  }
  // Adds `n` to each lane's lowest word; to each lane's highest.
  static KL_INLINE V addLow(V v, int n) { return _mm256_add_epi32(v, broadcast(_mm_set_epi32(0, 0, 0, n))); }
  static KL_INLINE V addWords(V v, uint32_t n) {
    return _mm256_add_epi32(v, broadcast(_mm_set_epi32(static_cast<int>(n), 0, 0, 0)));
  }
  // The counter blocks that follow J0 of a 12-byte nonce, one a lane, in wire order.
  static KL_INLINE V countLanes(__m128i j0) {
    return _mm256_add_epi32(broadcast(j0), _mm256_set_epi32(2 << 24, 0, 0, 0, 1 << 24, 0, 0, 0));
  }
  static KL_INLINE V swapHalves(V v) { return _mm256_shuffle_epi32(v, 0x4E); }
  // Adds `n`, n + 1 to the lanes' lowest words.
  static KL_INLINE V addLanes(V v, int n) {
    return _mm256_add_epi32(v, _mm256_set_epi32(0, 0, 0, n + 1, 0, 0, 0, n));
  }

  // Lane by lane, reduced.
  static KL_INLINE V multiplyLanes(V a, V b) {
    V lo = clmul<0x00>(a, b);
    V hi = clmul<0x11>(a, b);
    const V mid = exclusiveOr(clmul<0x01>(a, b), clmul<0x10>(a, b));
    lo = exclusiveOr(lo, _mm256_bslli_epi128(mid, 8));
    hi = exclusiveOr(hi, _mm256_bsrli_epi128(mid, 8));
    const V p = broadcast(_mm_set_epi64x(static_cast<long long>(0xC200000000000000ULL), 0));
    V t = exclusiveOr(_mm256_shuffle_epi32(lo, 0x4E), clmul<0x10>(lo, p));
    t = exclusiveOr(_mm256_shuffle_epi32(t, 0x4E), clmul<0x10>(t, p));
    return exclusiveOr(hi, t);
  }

  static KL_INLINE void clearRegisters() {
    __asm__ volatile("vzeroall" : : : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
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
const Kernel kAvx2 = Gcm<Avx2>::kernel("avx2", nullptr);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // KEYLADDER_X86_KERNELS
