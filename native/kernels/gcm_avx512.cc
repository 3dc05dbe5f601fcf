// AES-GCM with VAES and VPCLMULQDQ on 512-bit registers: eight of them, 32 blocks, in flight. dst is src or disjoint.
// Thread-safe; constant time.

#include "compiler.h"
#include "kernel.h"

#if defined(KEYLADDER_X86_KERNELS)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmul,sse4.1,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmul,sse4.1,bmi2")
#endif

namespace keyladder {
namespace {

struct Avx512 {
  using V = __m512i;
  static constexpr bool kGroups = false;

  static KL_INLINE V zero() { return _mm512_setzero_si512(); }
  static KL_INLINE V load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static KL_INLINE void store(uint8_t* p, V v) { _mm512_storeu_si512(p, v); }
  // `bytes` is 0 to 64.
  static KL_INLINE __mmask64 maskOf(size_t bytes) { return _bzhi_u64(~0ULL, static_cast<unsigned>(bytes)); }
  static KL_INLINE V loadPartial(const uint8_t* p, size_t bytes) { return _mm512_maskz_loadu_epi8(maskOf(bytes), p); }
  static KL_INLINE void storePartial(uint8_t* p, V v, size_t bytes) { _mm512_mask_storeu_epi8(p, maskOf(bytes), v); }
  static KL_INLINE V keepBytes(V v, size_t bytes) { return _mm512_maskz_mov_epi8(maskOf(bytes), v); }

  static KL_INLINE V broadcast(const uint8_t* p) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static KL_INLINE V broadcast(__m128i v) { return _mm512_broadcast_i32x4(v); }
  static KL_INLINE V fromBlock(__m128i v) { return _mm512_zextsi128_si512(v); }
  static KL_INLINE __m128i fold(V v) {
    const __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  }

  static KL_INLINE V exclusiveOr(V a, V b) { return _mm512_xor_si512(a, b); }
  static KL_INLINE V exclusiveOr(V a, V b, V c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
  static KL_INLINE V aesenc(V v, V k) { return _mm512_aesenc_epi128(v, k); }
  static KL_INLINE V aesenclast(V v, V k) { return _mm512_aesenclast_epi128(v, k); }
  template <int kHalves>
  static KL_INLINE V clmul(V a, V b) { return _mm512_clmulepi64_epi128(a, b, kHalves); }

  static KL_INLINE V reverse(V v) {
    return _mm512_shuffle_epi8(v, broadcast(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)));
  }
  // Adds `n` to each lane's lowest word; to each lane's highest.
  static KL_INLINE V addLow(V v, int n) { return _mm512_add_epi32(v, broadcast(_mm_set_epi32(0, 0, 0, n))); }
  static KL_INLINE V addWords(V v, uint32_t n) {
    return _mm512_add_epi32(v, broadcast(_mm_set_epi32(static_cast<int>(n), 0, 0, 0)));
  }
  static KL_INLINE V swapHalves(V v) { return _mm512_shuffle_epi32(v, static_cast<_MM_PERM_ENUM>(0x4E)); }
  // Adds `n`, n + 1, ... to the lanes' lowest words.
  static KL_INLINE V addLanes(V v, int n) {
    return _mm512_add_epi32(v, _mm512_set_epi32(0, 0, 0, n + 3, 0, 0, 0, n + 2, 0, 0, 0, n + 1, 0, 0, 0, n));
  }

  // Lane by lane, reduced.
  static KL_INLINE V multiplyLanes(V a, V b) {
    V lo = clmul<0x00>(a, b);
    V hi = clmul<0x11>(a, b);
    const V mid = exclusiveOr(clmul<0x01>(a, b), clmul<0x10>(a, b));
    lo = exclusiveOr(lo, _mm512_bslli_epi128(mid, 8));
    hi = exclusiveOr(hi, _mm512_bsrli_epi128(mid, 8));
    const V p = broadcast(_mm_set_epi64x(static_cast<long long>(0xC200000000000000ULL), 0));
    V t = exclusiveOr(_mm512_shuffle_epi32(lo, static_cast<_MM_PERM_ENUM>(0x4E)), clmul<0x10>(lo, p));
    t = exclusiveOr(_mm512_shuffle_epi32(t, static_cast<_MM_PERM_ENUM>(0x4E)), clmul<0x10>(t, p));
    return exclusiveOr(hi, t);
  }

  static KL_INLINE void clearRegisters() {
    __asm__ volatile(
        "vzeroall\n\t"
        "vpxord %%zmm16, %%zmm16, %%zmm16\n\tvpxord %%zmm17, %%zmm17, %%zmm17\n\t"
        "vpxord %%zmm18, %%zmm18, %%zmm18\n\tvpxord %%zmm19, %%zmm19, %%zmm19\n\t"
        "vpxord %%zmm20, %%zmm20, %%zmm20\n\tvpxord %%zmm21, %%zmm21, %%zmm21\n\t"
        "vpxord %%zmm22, %%zmm22, %%zmm22\n\tvpxord %%zmm23, %%zmm23, %%zmm23\n\t"
        "vpxord %%zmm24, %%zmm24, %%zmm24\n\tvpxord %%zmm25, %%zmm25, %%zmm25\n\t"
        "vpxord %%zmm26, %%zmm26, %%zmm26\n\tvpxord %%zmm27, %%zmm27, %%zmm27\n\t"
        "vpxord %%zmm28, %%zmm28, %%zmm28\n\tvpxord %%zmm29, %%zmm29, %%zmm29\n\t"
        "vpxord %%zmm30, %%zmm30, %%zmm30\n\tvpxord %%zmm31, %%zmm31, %%zmm31"
        : : : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
        "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",
        "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
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
const Kernel kAvx512 = Gcm<Avx512>::kernel("avx512");
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // KEYLADDER_X86_KERNELS
