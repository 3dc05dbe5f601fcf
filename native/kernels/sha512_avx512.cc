// SHA-512's compression (FIPS 180-4 6.4.2): the rounds in general registers, the message schedule beside them in vector
// registers, two words at a time, with the rotations and three-way logic of AVX-512VL. Thread-safe; constant time.

#include "compiler.h"
#include "sha2.h"

#if defined(KEYLADDER_X86_KERNELS)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,bmi,bmi2")
#endif

namespace keyladder {
namespace {

template <int a, int b, int shift>
KL_INLINE __m128i smallSigma(__m128i x) {
  return _mm_ternarylogic_epi64(_mm_ror_epi64(x, a), _mm_ror_epi64(x, b), _mm_srli_epi64(x, shift), 0x96);
}

// Words 2j and 2j + 1 of the next sixteen, from the sixteen before (`x`, two words each; those below j are new already).
KL_INLINE __m128i nextWords(const __m128i* x, int j) {
  const __m128i one = _mm_alignr_epi8(x[(j + 1) & 7], x[j], 8);
  const __m128i nine = _mm_alignr_epi8(x[(j + 5) & 7], x[(j + 4) & 7], 8);
  return _mm_add_epi64(_mm_add_epi64(x[j], smallSigma<1, 8, 7>(one)),
                       _mm_add_epi64(nine, smallSigma<19, 61, 6>(x[(j + 7) & 7])));
}

KL_INLINE uint64_t rotate(uint64_t x, int n) { return x >> n | x << (64 - n); }

KL_INLINE void round(uint64_t a, uint64_t b, uint64_t c, uint64_t* d, uint64_t e, uint64_t f, uint64_t g, uint64_t* h,
                     uint64_t input) {
  const uint64_t t = *h + input + (rotate(e, 14) ^ rotate(e, 18) ^ rotate(e, 41)) + ((e & f) + (~e & g));
  *d += t;
  *h = t + (rotate(a, 28) ^ rotate(a, 34) ^ rotate(a, 39)) + ((a & b) ^ (c & (a ^ b)));
}

}  // namespace

void sha512BlockAvx512(uint64_t* state, const uint8_t* data) {
  const __m128i reverse = _mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  alignas(16) uint64_t input[16];  // schedule plus constants of the next sixteen rounds
  __m128i x[8];
  KL_UNROLL for (int j = 0; j < 8; j++) {
    x[j] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data + 16 * j)), reverse);
    const __m128i k = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kSha512Round + 2 * j));
    _mm_store_si128(reinterpret_cast<__m128i*>(input + 2 * j), _mm_add_epi64(x[j], k));
  }
  uint64_t s[8];
  KL_UNROLL for (int i = 0; i < 8; i++) s[i] = state[i];
  for (int turn = 16;; turn += 16) {
    KL_UNROLL for (int j = 0; j < 8; j++) {
      KL_UNROLL for (int i = 2 * j; i < 2 * j + 2; i++) {
        round(s[(0 - i) & 7], s[(1 - i) & 7], s[(2 - i) & 7], &s[(3 - i) & 7], s[(4 - i) & 7], s[(5 - i) & 7],
              s[(6 - i) & 7], &s[(7 - i) & 7], input[i]);
      }
      if (turn < 80) {
        x[j] = nextWords(x, j);
        const __m128i k = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kSha512Round + turn + 2 * j));
        _mm_store_si128(reinterpret_cast<__m128i*>(input + 2 * j), _mm_add_epi64(x[j], k));
      }
    }
    if (turn == 80) break;
  }
  KL_UNROLL for (int i = 0; i < 8; i++) state[i] += s[i];
}

}  // namespace keyladder

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // KEYLADDER_X86_KERNELS
