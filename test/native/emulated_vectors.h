// The 256-bit and 512-bit instructions that the kernels use, over 128-bit ones, under the names of the intrinsics: so a
// kernel's own source runs where the machine, or valgrind's, has no VAES. Included before a kernel file whose target
// region was lowered to AES-NI; see parts/ctgrind.mjs.

#ifndef KEYLADDER_TEST_NATIVE_EMULATED_VECTORS_H_
#define KEYLADDER_TEST_NATIVE_EMULATED_VECTORS_H_

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#pragma GCC push_options
#pragma GCC target("aes,pclmul,sse4.1")

// Functions, not inlined: the kernels inline everything else, and a hundred copies of this would not compile in an hour.
#define KL_APART __attribute__((noinline)) inline

namespace keyladder::emulated {

template <int kLanes>
struct Wide {
  __m128i lane[kLanes];
};


#define KL_EMULATE(name, instruction)                                                     \
  template <int kLanes>                                                                   \
  KL_APART Wide<kLanes> name(const Wide<kLanes>& a, const Wide<kLanes>& b) {                \
    Wide<kLanes> out;                                                                     \
    for (int i = 0; i < kLanes; i++) out.lane[i] = instruction(a.lane[i], b.lane[i]);     \
    return out;                                                                           \
  }
KL_EMULATE(exclusiveOr, _mm_xor_si128)
KL_EMULATE(both, _mm_and_si128)
KL_EMULATE(addWords, _mm_add_epi32)
KL_EMULATE(shuffleBytes, _mm_shuffle_epi8)
KL_EMULATE(aesenc, _mm_aesenc_si128)
KL_EMULATE(aesenclast, _mm_aesenclast_si128)
#undef KL_EMULATE

#define KL_EMULATE(name, instruction)                                                     \
  template <int kImmediate, int kLanes>                                                   \
  KL_APART Wide<kLanes> name(const Wide<kLanes>& a) {                                       \
    Wide<kLanes> out;                                                                     \
    for (int i = 0; i < kLanes; i++) out.lane[i] = instruction(a.lane[i], kImmediate);    \
    return out;                                                                           \
  }
KL_EMULATE(shiftLeft, _mm_slli_si128)
KL_EMULATE(shiftRight, _mm_srli_si128)
KL_EMULATE(shuffleWords, _mm_shuffle_epi32)
#undef KL_EMULATE

template <int kHalves, int kLanes>
KL_APART Wide<kLanes> clmul(const Wide<kLanes>& a, const Wide<kLanes>& b) {
  Wide<kLanes> out;
  for (int i = 0; i < kLanes; i++) out.lane[i] = _mm_clmulepi64_si128(a.lane[i], b.lane[i], kHalves);
  return out;
}

template <int kTable, int kLanes>
KL_APART Wide<kLanes> threeWay(const Wide<kLanes>& a, const Wide<kLanes>& b, const Wide<kLanes>& c) {
  static_assert(kTable == 0x96, "exclusive or of three");
  return exclusiveOr(a, exclusiveOr(b, c));
}
template <int kTable>
KL_APART __m128i threeWay(__m128i a, __m128i b, __m128i c) {
  static_assert(kTable == 0x96, "exclusive or of three");
  return _mm_xor_si128(a, _mm_xor_si128(b, c));
}
template <int kBits>
KL_APART __m128i turnRight(__m128i a) {
  return _mm_or_si128(_mm_srli_epi64(a, kBits), _mm_slli_epi64(a, 64 - kBits));
}

template <int kLanes>
KL_APART Wide<kLanes> load(const void* from) {
  Wide<kLanes> out;
  std::memcpy(&out, from, sizeof out);
  return out;
}
template <int kLanes>
KL_APART void store(void* to, const Wide<kLanes>& v) {
  std::memcpy(to, &v, sizeof v);
}

template <int kLanes>
KL_APART Wide<kLanes> toEachLane(__m128i v) {
  Wide<kLanes> out;
  for (int i = 0; i < kLanes; i++) out.lane[i] = v;
  return out;
}
// Lanes `kFrom` and up of a wider or equal one, and zeros behind them.
template <int kLanes, int kFrom = 0, int kOf>
KL_APART Wide<kLanes> lanes(const Wide<kOf>& v) {
  Wide<kLanes> out;
  for (int i = 0; i < kLanes; i++) out.lane[i] = kFrom + i < kOf ? v.lane[kFrom + i] : _mm_setzero_si128();
  return out;
}
template <int kLanes>
KL_APART Wide<kLanes> firstLane(__m128i v) {
  return lanes<kLanes>(Wide<1>{{v}});
}
template <int kAt, int kLanes>
KL_APART Wide<kLanes> insert(Wide<kLanes> into, __m128i v) {
  into.lane[kAt] = v;
  return into;
}
template <int kAt>
KL_APART Wide<4> insert(Wide<4> into, const Wide<2>& v) {
  into.lane[2 * kAt] = v.lane[0];
  into.lane[2 * kAt + 1] = v.lane[1];
  return into;
}
template <int kPick>
KL_APART Wide<4> pickLanes(const Wide<4>& a, const Wide<4>& b) {
  return {{a.lane[kPick & 3], a.lane[kPick >> 2 & 3], b.lane[kPick >> 4 & 3], b.lane[kPick >> 6 & 3]}};
}

// Words, the highest first.
template <typename... Words>
KL_APART Wide<sizeof...(Words) / 4> words(Words... highestFirst) {
  constexpr size_t kCount = sizeof...(Words);
  const int32_t given[kCount] = {static_cast<int32_t>(highestFirst)...};
  int32_t lowestFirst[kCount];
  for (size_t i = 0; i < kCount; i++) lowestFirst[i] = given[kCount - 1 - i];
  return load<kCount / 4>(lowestFirst);
}

// Bytes whose bit in the mask is set; others are zero, and not touched in memory.
KL_APART Wide<4> loadSome(uint64_t mask, const void* from) {
  uint8_t out[64] = {0};
  for (int i = 0; i < 64; i++) {
    if (mask >> i & 1) out[i] = static_cast<const uint8_t*>(from)[i];
  }
  return load<4>(out);
}
KL_APART void storeSome(void* to, uint64_t mask, const Wide<4>& v) {
  uint8_t bytes[64];
  store(bytes, v);
  for (int i = 0; i < 64; i++) {
    if (mask >> i & 1) static_cast<uint8_t*>(to)[i] = bytes[i];
  }
}
KL_APART Wide<4> keepSome(uint64_t mask, const Wide<4>& v) {
  uint8_t bytes[64];
  store(bytes, v);
  return loadSome(mask, bytes);
}
KL_APART uint16_t differ(uint16_t mask, __m128i a, __m128i b) {
  return static_cast<uint16_t>(mask & ~_mm_movemask_epi8(_mm_cmpeq_epi8(a, b)));
}
KL_APART uint64_t lowBits(uint64_t v, unsigned count) { return count >= 64 ? v : v & ((uint64_t{1} << count) - 1); }

}  // namespace keyladder::emulated

#pragma GCC pop_options

// A value of two or four lanes is in memory.
#undef KL_ONCE
#define KL_ONCE(value) __asm__("" : "+m"(value))

#define __m256i keyladder::emulated::Wide<2>
#define __m512i keyladder::emulated::Wide<4>

#define _mm256_add_epi32 keyladder::emulated::addWords
#define _mm256_aesenc_epi128 keyladder::emulated::aesenc
#define _mm256_aesenclast_epi128 keyladder::emulated::aesenclast
#define _mm256_and_si256 keyladder::emulated::both
#define _mm256_broadcastsi128_si256 keyladder::emulated::toEachLane<2>
#define _mm256_bslli_epi128(a, n) keyladder::emulated::shiftLeft<(n)>(a)
#define _mm256_bsrli_epi128(a, n) keyladder::emulated::shiftRight<(n)>(a)
#define _mm256_castsi128_si256 keyladder::emulated::firstLane<2>
#define _mm256_castsi256_si128(a) ((a).lane[0])
#define _mm256_clmulepi64_epi128(a, b, n) keyladder::emulated::clmul<(n)>(a, b)
#define _mm256_extracti128_si256(a, n) ((a).lane[n])
#define _mm256_inserti128_si256(a, b, n) keyladder::emulated::insert<(n)>(a, b)
#define _mm256_loadu_si256 keyladder::emulated::load<2>
#define _mm256_set_epi32 keyladder::emulated::words
#define _mm256_setzero_si256() keyladder::emulated::toEachLane<2>(_mm_setzero_si128())
#define _mm256_shuffle_epi32(a, n) keyladder::emulated::shuffleWords<(n)>(a)
#define _mm256_shuffle_epi8 keyladder::emulated::shuffleBytes
#define _mm256_storeu_si256 keyladder::emulated::store
#define _mm256_xor_si256 keyladder::emulated::exclusiveOr
#define _mm256_zextsi128_si256 keyladder::emulated::firstLane<2>

#define _mm512_add_epi32 keyladder::emulated::addWords
#define _mm512_aesenc_epi128 keyladder::emulated::aesenc
#define _mm512_aesenclast_epi128 keyladder::emulated::aesenclast
#define _mm512_broadcast_i32x4 keyladder::emulated::toEachLane<4>
#define _mm512_bslli_epi128(a, n) keyladder::emulated::shiftLeft<(n)>(a)
#define _mm512_bsrli_epi128(a, n) keyladder::emulated::shiftRight<(n)>(a)
#define _mm512_castsi256_si512 keyladder::emulated::lanes<4>
#define _mm512_castsi512_si128(a) ((a).lane[0])
#define _mm512_castsi512_si256 keyladder::emulated::lanes<2>
#define _mm512_clmulepi64_epi128(a, b, n) keyladder::emulated::clmul<(n)>(a, b)
#define _mm512_extracti64x2_epi64(a, n) ((a).lane[n])
#define _mm512_extracti64x4_epi64(a, n) keyladder::emulated::lanes<2, 2 * (n)>(a)
#define _mm512_inserti64x4(a, b, n) keyladder::emulated::insert<(n)>(a, b)
#define _mm512_loadu_si512 keyladder::emulated::load<4>
#define _mm512_mask_storeu_epi8 keyladder::emulated::storeSome
#define _mm512_maskz_loadu_epi8 keyladder::emulated::loadSome
#define _mm512_maskz_mov_epi8 keyladder::emulated::keepSome
#define _mm512_set_epi32 keyladder::emulated::words
#define _mm512_setzero_si512() keyladder::emulated::toEachLane<4>(_mm_setzero_si128())
#define _mm512_shuffle_epi32(a, n) keyladder::emulated::shuffleWords<(n)>(a)
#define _mm512_shuffle_epi8 keyladder::emulated::shuffleBytes
#define _mm512_shuffle_i64x2(a, b, n) keyladder::emulated::pickLanes<(n)>(a, b)
#define _mm512_storeu_si512 keyladder::emulated::store
#define _mm512_ternarylogic_epi64(a, b, c, n) keyladder::emulated::threeWay<(n)>(a, b, c)
#define _mm512_xor_si512 keyladder::emulated::exclusiveOr
#define _mm512_zextsi128_si512 keyladder::emulated::firstLane<4>

#define _mm_mask_cmpneq_epi8_mask keyladder::emulated::differ
#undef _mm_ror_epi64
#define _mm_ror_epi64(a, n) keyladder::emulated::turnRight<(n)>(a)
#undef _mm_ternarylogic_epi64
#define _mm_ternarylogic_epi64(a, b, c, n) keyladder::emulated::threeWay<(n)>(a, b, c)
#define _bzhi_u64 keyladder::emulated::lowBits

#endif  // KEYLADDER_TEST_NATIVE_EMULATED_VECTORS_H_
