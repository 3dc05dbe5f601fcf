// AES-GCM with VAES and VPCLMULQDQ on 512-bit registers: eight of them, 32 blocks, in flight. dst is src or disjoint.
// Thread-safe; constant time.

#include "compiler.h"
#include "kernel.h"
#include "traces.h"
#include "sha2.h"

#if defined(KEYLADDER_X86_KERNELS)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmul,sse4.1,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmul,sse4.1,bmi2")
#endif

#include "gcm_block.h"

namespace keyladder {
namespace {

struct Avx512 {
  using V = __m512i;
  static constexpr bool kGroups = true;

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

  // A block in each lane.
  static KL_INLINE V gather(const __m128i* b) {
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(b[0]), b[1], 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(b[2]), b[3], 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }

  static KL_INLINE void scatter(V v, __m128i* b) {
    b[0] = _mm512_castsi512_si128(v);
    b[1] = _mm512_extracti64x2_epi64(v, 1);
    b[2] = _mm512_extracti64x2_epi64(v, 2);
    b[3] = _mm512_extracti64x2_epi64(v, 3);
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
  // The counter blocks that follow J0 of a 12-byte nonce, one a lane, in wire order.
  static KL_INLINE V countLanes(__m128i j0) {
    return _mm512_add_epi32(broadcast(j0), _mm512_set_epi32(4 << 24, 0, 0, 0, 3 << 24, 0, 0, 0, 2 << 24, 0, 0, 0, 1 << 24, 0, 0, 0));
  }
  static KL_INLINE V swapHalves(V v) { return _mm512_shuffle_epi32(v, static_cast<_MM_PERM_ENUM>(0x4E)); }
  // Adds `n`, n + 1, ... to the lanes' lowest words.
  static KL_INLINE V addLanes(V v, int n) {
    return _mm512_add_epi32(v, _mm512_set_epi32(0, 0, 0, n + 3, 0, 0, 0, n + 2, 0, 0, 0, n + 1, 0, 0, 0, n));
  }

  // Lane by lane: (hi * 2^128 + mid * 2^64 + lo) / x^128 modulo the polynomial, as block::reduce.
  static KL_INLINE V reduceLanes(V lo, V mid, V hi) {
    lo = exclusiveOr(lo, _mm512_bslli_epi128(mid, 8));
    hi = exclusiveOr(hi, _mm512_bsrli_epi128(mid, 8));
    const V p = broadcast(_mm_set_epi64x(static_cast<long long>(0xC200000000000000ULL), 0));
    V t = exclusiveOr(swapHalves(lo), clmul<0x10>(lo, p));
    t = exclusiveOr(swapHalves(t), clmul<0x10>(t, p));
    return exclusiveOr(hi, t);
  }
  static KL_INLINE V multiplyLanes(V a, V b) {
    return reduceLanes(clmul<0x00>(a, b), exclusiveOr(clmul<0x01>(a, b), clmul<0x10>(a, b)), clmul<0x11>(a, b));
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

  // --- eight records of at most 64 bytes, one vector each, and their J0 in two vectors more

  // Lane i of the result is the sum of the lanes of v[i].
  static KL_INLINE V foldFour(const V* v) {
    const V ab = exclusiveOr(_mm512_shuffle_i64x2(v[0], v[1], 0x44), _mm512_shuffle_i64x2(v[0], v[1], 0xEE));
    const V cd = exclusiveOr(_mm512_shuffle_i64x2(v[2], v[3], 0x44), _mm512_shuffle_i64x2(v[2], v[3], 0xEE));
    return exclusiveOr(_mm512_shuffle_i64x2(ab, cd, 0x88), _mm512_shuffle_i64x2(ab, cd, 0xDD));
  }

  // Key stream of each record from its J0, and the masks of their tags.
  template <class G>
  static KL_INLINE void groupStream(const GcmKey* key, const __m128i* j0, V* stream, V* masks) {
    V state[10];
    KL_UNROLL for (int i = 0; i < 8; i++) state[i] = countLanes(j0[i]);
    state[8] = gather(j0);
    state[9] = gather(j0 + 4);
    G::T::template encipher<10, 0>(key, state, nullptr, nullptr, nullptr);
    KL_UNROLL for (int i = 0; i < 8; i++) stream[i] = state[i];
    masks[0] = state[8];
    masks[1] = state[9];
  }

  // Tags of eight ciphertexts whose bytes behind `bytes` are zero.
  template <class G>
  static KL_INLINE void groupTags(const GcmKey* key, const V* sealed, const uint32_t* bytes, const V* masks,
                                  __m128i* tags) {
    KL_UNROLL for (int half = 0; half < 2; half++) {
      V lo[4], mid[4], hi[4];
      __m128i lengths[4];
      KL_UNROLL for (int i = 0; i < 4; i++) {
        const uint32_t length = bytes[4 * half + i];
        typename G::T::Product product = G::T::none();
        G::T::multiply(&product, reverse(sealed[4 * half + i]), G::T::powersFrom(key, (length + 15) / 16 + 1));
        lo[i] = product.lo;
        mid[i] = product.mid;
        hi[i] = product.hi;
        lengths[i] = G::T::lengthBlock(0, length);
      }
      typename G::T::Product sum = {foldFour(lo), foldFour(mid), foldFour(hi)};
      const V h = broadcast(G::T::powersFrom(key, 1));
      const V halves = broadcast(G::T::powersFrom(key, 1) + G::T::kSumsAfterPowers);
      const V x = gather(lengths);
      sum.lo = exclusiveOr(sum.lo, clmul<0x00>(x, h));
      sum.hi = exclusiveOr(sum.hi, clmul<0x11>(x, h));
      sum.mid = exclusiveOr(sum.mid, clmul<0x00>(exclusiveOr(x, swapHalves(x)), halves));
      const V y = reduceLanes(sum.lo, exclusiveOr(sum.mid, sum.lo, sum.hi), sum.hi);
      scatter(exclusiveOr(reverse(y), masks[half]), tags + 4 * half);
    }
  }

  template <class G>
  static KL_INLINE void sealGroup(const GcmKey* key, const RecordBatch* batch, size_t first, __m128i prefix,
                                  uint32_t* at) {
    __m128i j0[8];
    V sealed[8], masks[2];
    uint32_t bytes[8];
    KL_UNROLL for (int i = 0; i < 8; i++) {
      j0[i] = G::T::counterOf(batch->nonces + (first + i) * kNonceBytes);
      bytes[i] = batch->srcOffsets[first + i + 1] - batch->srcOffsets[first + i];
    }
    groupStream<G>(key, j0, sealed, masks);
    KL_UNROLL for (int i = 0; i < 8; i++) {
      const __mmask64 keep = maskOf(bytes[i]);
      V text = _mm512_maskz_loadu_epi8(keep, batch->src + batch->srcOffsets[first + i]);
      KL_ONCE(text);
      sealed[i] = _mm512_maskz_mov_epi8(keep, exclusiveOr(text, sealed[i]));
    }
    __m128i tags[8];
    groupTags<G>(key, sealed, bytes, masks, tags);
    uint32_t where = *at;
    KL_UNROLL for (int i = 0; i < 8; i++) {
      batch->dstOffsets[first + i] = where;
      uint8_t* dst = batch->dst + where;
      block::store(dst, prefix);  // each store overwrites what the one before wrote too far
      block::store(dst + batch->prefixBytes, j0[i]);
      dst += batch->prefixBytes + kNonceBytes;
      storePartial(dst, sealed[i], bytes[i]);
      block::store(dst + bytes[i], tags[i]);
      where += static_cast<uint32_t>(batch->prefixBytes + kNonceBytes + kTagBytes) + bytes[i];
    }
    *at = where;
  }

  // Returns how many of the eight did not open. Nothing is stored of a record whose tag does not verify.
  template <class G>
  static KL_INLINE size_t openGroup(const GcmKey* key, const RecordBatch* batch, size_t first, __m128i prefix,
                                    uint32_t* at) {
    const uint32_t overhead = static_cast<uint32_t>(batch->prefixBytes + kNonceBytes + kTagBytes);
    const __mmask16 prefixMask = static_cast<__mmask16>((1u << batch->prefixBytes) - 1);
    __m128i j0[8], found[8], tags[8];
    V sealed[8], text[8], masks[2];
    uint32_t bytes[8];
    uint32_t foreign = 0;
    KL_UNROLL for (int i = 0; i < 8; i++) {
      const uint8_t* src = batch->src + batch->srcOffsets[first + i];
      bytes[i] = batch->srcOffsets[first + i + 1] - batch->srcOffsets[first + i] - overhead;
      const __mmask16 other = _mm_mask_cmpneq_epi8_mask(prefixMask, block::load(src), prefix);
      foreign |= static_cast<uint32_t>(other != 0) << i;
      j0[i] = G::T::counterOf(src + batch->prefixBytes);
      sealed[i] = G::T::loadPartialOnce(src + batch->prefixBytes + kNonceBytes, bytes[i]);
      found[i] = block::load(src + batch->prefixBytes + kNonceBytes + bytes[i]);
    }
    groupStream<G>(key, j0, text, masks);
    groupTags<G>(key, sealed, bytes, masks, tags);
    size_t failed = 0;
    uint32_t where = *at;
    KL_UNROLL for (int i = 0; i < 8; i++) {
      batch->dstOffsets[first + i] = where;
      const bool authentic = block::equal(tags[i], found[i]);
      const bool other = (foreign >> i & 1) != 0;
      batch->status[first + i] = other ? kRecordOtherPrefix : authentic ? kRecordOpened : kRecordNotAuthentic;
      if (authentic && !other) {
        storePartial(batch->dst + where, exclusiveOr(text[i], sealed[i]), bytes[i]);
        where += bytes[i];
      } else {
        failed++;
      }
    }
    *at = where;
    return failed;
  }
};

}  // namespace
}  // namespace keyladder

#include "gcm_driver.h"

namespace keyladder {
const Kernel kAvx512 = Gcm<Avx512>::kernel("avx512", sha512BlockAvx512);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // KEYLADDER_X86_KERNELS
