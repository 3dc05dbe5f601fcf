// One block at a time, in every kernel: AES (FIPS 197) and GHASH (SP 800-38D 6.4) with SSE4.1, AES-NI and PCLMULQDQ.
// Included inside a kernel's own target region.

#ifndef KEYLADDER_KERNELS_GCM_BLOCK_H_
#define KEYLADDER_KERNELS_GCM_BLOCK_H_

namespace keyladder {
namespace {
namespace block {

KL_INLINE __m128i load(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
KL_INLINE void store(uint8_t* p, __m128i v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }
KL_INLINE __m128i reverse(__m128i v) {
  return _mm_shuffle_epi8(v, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

// `bytes` is at most 16.
KL_INLINE __m128i loadPartial(const uint8_t* p, size_t bytes) {
  alignas(16) uint8_t padded[16] = {0};
  for (size_t i = 0; i < bytes; i++) padded[i] = p[i];
  return load(padded);
}

// Keeps the first `bytes` bytes, at most 16, and clears the others.
KL_INLINE __m128i keepFirst(__m128i v, size_t bytes) {
  const __m128i index = _mm_set_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  return _mm_and_si128(v, _mm_cmplt_epi8(index, _mm_set1_epi8(static_cast<char>(bytes))));
}

KL_INLINE __m128i encipher(const GcmKey* key, __m128i v) {
  v = _mm_xor_si128(v, load(key->roundKeys[0]));
  for (uint32_t r = 1; r < key->rounds; r++) v = _mm_aesenc_si128(v, load(key->roundKeys[r]));
  return _mm_aesenclast_si128(v, load(key->roundKeys[key->rounds]));
}

// x^127 + x^126 + x^121, the upper half of the reduction polynomial in reversed order.
KL_INLINE __m128i polynomial() { return _mm_set_epi64x(static_cast<long long>(0xC200000000000000ULL), 0); }

// (hi * 2^128 + lo) / x^128 modulo the polynomial.
KL_INLINE __m128i reduce(__m128i lo, __m128i mid, __m128i hi) {
  lo = _mm_xor_si128(lo, _mm_slli_si128(mid, 8));
  hi = _mm_xor_si128(hi, _mm_srli_si128(mid, 8));
  const __m128i p = polynomial();
  __m128i t = _mm_xor_si128(_mm_shuffle_epi32(lo, 0x4E), _mm_clmulepi64_si128(lo, p, 0x10));
  t = _mm_xor_si128(_mm_shuffle_epi32(t, 0x4E), _mm_clmulepi64_si128(t, p, 0x10));
  return _mm_xor_si128(hi, t);
}

// H times x, from the block E(0) in reversed order.
KL_INLINE __m128i timesX(__m128i h) {
  const __m128i carry = _mm_shuffle_epi32(_mm_srai_epi32(h, 31), 0xFF);  // all ones where bit 127 is set
  const __m128i shifted = _mm_or_si128(_mm_slli_epi64(h, 1), _mm_slli_si128(_mm_srli_epi64(h, 63), 8));
  const __m128i p = _mm_set_epi64x(static_cast<long long>(0xC200000000000000ULL), 1);
  return _mm_xor_si128(shifted, _mm_and_si128(carry, p));
}

KL_INLINE __m128i equalMask(__m128i a, __m128i b) { return _mm_cmpeq_epi8(a, b); }
// Constant time: the verdict leaves as one bit.
KL_INLINE bool equal(__m128i a, __m128i b) { return KL_DECLASSIFY(_mm_movemask_epi8(equalMask(a, b)) == 0xFFFF); }

template <int kRcon>
KL_INLINE __m128i nextKey(__m128i previous, __m128i source, int kWord) {
  __m128i t = _mm_aeskeygenassist_si128(source, kRcon);
  t = kWord == 3 ? _mm_shuffle_epi32(t, 0xFF) : _mm_shuffle_epi32(t, 0xAA);
  previous = _mm_xor_si128(previous, _mm_slli_si128(previous, 4));
  previous = _mm_xor_si128(previous, _mm_slli_si128(previous, 8));
  return _mm_xor_si128(previous, t);
}

KL_INLINE void expand128(GcmKey* key, const uint8_t* bytes) {
  __m128i k = load(bytes);
  store(key->roundKeys[0], k);
#define KL_ROUND(r, rcon) k = nextKey<rcon>(k, k, 3), store(key->roundKeys[r], k)
  KL_ROUND(1, 0x01); KL_ROUND(2, 0x02); KL_ROUND(3, 0x04); KL_ROUND(4, 0x08); KL_ROUND(5, 0x10);
  KL_ROUND(6, 0x20); KL_ROUND(7, 0x40); KL_ROUND(8, 0x80); KL_ROUND(9, 0x1B); KL_ROUND(10, 0x36);
#undef KL_ROUND
}

// FIPS 197 5.2 for six words a step: words 6i to 6i+5 from the six before.
template <int kRcon>
KL_INLINE void next192(__m128i* low, __m128i* high) {
  const __m128i t = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(*high, kRcon), 0x55);
  __m128i l = *low;
  l = _mm_xor_si128(l, _mm_slli_si128(l, 4));
  l = _mm_xor_si128(l, _mm_slli_si128(l, 8));
  l = _mm_xor_si128(l, t);
  const __m128i h = _mm_xor_si128(*high, _mm_slli_si128(*high, 4));
  *high = _mm_xor_si128(h, _mm_shuffle_epi32(l, 0xFF));
  *low = l;
}

KL_INLINE void expand192(GcmKey* key, const uint8_t* bytes) {
  uint8_t* out = key->roundKeys[0];
  __m128i low = load(bytes);
  __m128i high = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes + 16));
  store(out, low);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out + 16), high);
#define KL_STEP(i, rcon)                    \
  next192<rcon>(&low, &high);               \
  store(out + 24 * (i), low);               \
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out + 24 * (i) + 16), high)
  KL_STEP(1, 0x01); KL_STEP(2, 0x02); KL_STEP(3, 0x04); KL_STEP(4, 0x08);
  KL_STEP(5, 0x10); KL_STEP(6, 0x20); KL_STEP(7, 0x40);
#undef KL_STEP
  next192<0x80>(&low, &high);
  store(out + 24 * 8, low);
}

KL_INLINE void expand256(GcmKey* key, const uint8_t* bytes) {
  __m128i a = load(bytes);
  __m128i b = load(bytes + 16);
  store(key->roundKeys[0], a);
  store(key->roundKeys[1], b);
#define KL_PAIR(r, rcon)                                     \
  a = nextKey<rcon>(a, b, 3), store(key->roundKeys[r], a);   \
  b = nextKey<0>(b, a, 2), store(key->roundKeys[(r) + 1], b)
  KL_PAIR(2, 0x01); KL_PAIR(4, 0x02); KL_PAIR(6, 0x04); KL_PAIR(8, 0x08); KL_PAIR(10, 0x10); KL_PAIR(12, 0x20);
#undef KL_PAIR
  a = nextKey<0x40>(a, b, 3);
  store(key->roundKeys[14], a);
}

}  // namespace block
}  // namespace
}  // namespace keyladder

#endif  // KEYLADDER_KERNELS_GCM_BLOCK_H_
