// AES-GCM (SP 800-38D) over any vector width: counters, tails, associated data, tags, framing. A kernel file brings the
// instructions as a struct `I` (see gcm_avx512.cc) and includes this inside its own target region.
//
// Eight vectors are in flight. Sealing hashes the batch before while it enciphers this one, from registers or from
// scratch on the stack; opening hashes the batch it deciphers. Block i of the last n, the length block behind them,
// meets H^(n+1-i): one reduction a batch.
//
// GHASH works on byte-reversed blocks with the powers of H times x, so that a carry-less product needs no shift
// (Gueron and Kounavis, "Intel Carry-Less Multiplication Instruction", algorithm 5); the reduction divides by x^128.

#ifndef KEYLADDER_KERNELS_GCM_DRIVER_H_
#define KEYLADDER_KERNELS_GCM_DRIVER_H_

namespace keyladder {
namespace {

// More stack than the deepest function below uses (GCC's -fstack-usage: at most 1760 bytes); the native tests look for
// traces of secrets behind every call.
constexpr size_t kStackBytes = 2048;

// Overwrites the stack below the caller, where a function that has just returned kept its spilled registers.
template <class I>
KL_NOINLINE void wipeStack() {
  alignas(64) uint8_t stack[kStackBytes];
  KL_UNROLL for (size_t at = 0; at < kStackBytes; at += sizeof(typename I::V)) I::store(stack + at, I::zero());
  __asm__ volatile("" : : "r"(stack) : "memory");
}

// Secrets stay neither in registers nor on the stack below the entry.
template <class I>
KL_INLINE void wipeTraces() {
  wipeStack<I>();
  I::clearRegisters();
}

// AES-NI: what every kernel does one block at a time. SSE4.1, AES, PCLMULQDQ.
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
KL_INLINE bool equal(__m128i a, __m128i b) { return _mm_movemask_epi8(equalMask(a, b)) == 0xFFFF; }

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

template <class I>
struct Gcm {
  using V = typename I::V;
  static constexpr size_t kLanes = sizeof(V) / kBlockBytes;
  static constexpr int kInFlight = 8;
  static constexpr size_t kBatchBlocks = kInFlight * kLanes;
  static constexpr size_t kBatchBytes = kInFlight * sizeof(V);

  // Products not yet reduced, lane by lane: of the low halves, of the high halves, of the sums of both (Karatsuba: on
  // some cores a carry-less product takes two cycles, whatever its width, and four a block would be the bottleneck).
  struct Product {
    V lo, mid, hi;
  };

  static KL_INLINE Product none() { return {I::zero(), I::zero(), I::zero()}; }

  // `powers` points into GcmKey::powers.
  static KL_INLINE void multiply(Product* sum, V x, const uint8_t* powers) {
    const V power = I::load(powers);
    const V halves = I::load(powers + kSumsAfterPowers);
    sum->lo = I::exclusiveOr(sum->lo, I::template clmul<0x00>(x, power));
    sum->hi = I::exclusiveOr(sum->hi, I::template clmul<0x11>(x, power));
    sum->mid = I::exclusiveOr(sum->mid, I::template clmul<0x00>(I::exclusiveOr(x, I::swapHalves(x)), halves));
  }

  static constexpr size_t kSumsAfterPowers = offsetof(GcmKey, sums) - offsetof(GcmKey, powers);

  static KL_INLINE __m128i reduce(const Product& sum) {
    const __m128i lo = I::fold(sum.lo);
    const __m128i hi = I::fold(sum.hi);
    return block::reduce(lo, _mm_xor_si128(I::fold(sum.mid), _mm_xor_si128(lo, hi)), hi);
  }

  // Where the powers of a vector begin whose first block meets H^exponent.
  static KL_INLINE const uint8_t* powersFrom(const GcmKey* key, size_t exponent) {
    return key->powers[kPowers - exponent];
  }

  static KL_INLINE __m128i multiplyBlock(__m128i a, __m128i b) {
    const __m128i mid = _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x01), _mm_clmulepi64_si128(a, b, 0x10));
    return block::reduce(_mm_clmulepi64_si128(a, b, 0x00), mid, _mm_clmulepi64_si128(a, b, 0x11));
  }

  // --- keys

  static KL_INLINE void expand(GcmKey* key, const uint8_t* bytes, size_t keyBytes) {
    key->keyBytes = static_cast<uint32_t>(keyBytes);
    key->rounds = static_cast<uint32_t>(keyBytes / 4 + 6);
    if (keyBytes == 16) block::expand128(key, bytes);
    else if (keyBytes == 24) block::expand192(key, bytes);
    else block::expand256(key, bytes);
    const __m128i h = block::timesX(block::reverse(block::encipher(key, _mm_setzero_si128())));
    uint8_t* end = key->powers[kPowers];
    block::store(end - 16, h);
    // Doubling: the powers above 2^k are those up to 2^k, times H^(2^k); each step's products are independent.
    for (size_t have = 1; have < kPowers; have *= 2) {
      const __m128i top = block::load(end - 16 * have);
      const size_t more = have * 2 <= kPowers ? have : kPowers - have;
      size_t i = 0;
      for (; i + kLanes <= more; i += kLanes) {
        const V product = I::multiplyLanes(I::load(end - 16 * (i + kLanes)), I::broadcast(top));
        I::store(end - 16 * (have + i + kLanes), product);
      }
      for (; i < more; i++) {
        block::store(end - 16 * (have + i + 1), multiplyBlock(block::load(end - 16 * (i + 1)), top));
      }
    }
    for (size_t i = 0; i < 4; i++) block::store(key->powers[kPowers + i], _mm_setzero_si128());
    for (size_t i = 0; i < kPowers + 4; i += kLanes) {
      const V power = I::load(key->powers[i]);
      I::store(key->sums[i], I::exclusiveOr(power, I::swapHalves(power)));
    }
  }

  // --- one batch

  // Enciphers N vectors of counter blocks; in the shadow of the rounds, multiplies M pending vectors by their powers.
  // The first of them comes last: it waits for the hash of the batch before.
  template <int N, int M>
  static KL_INLINE void encipher(const GcmKey* key, V (&state)[N], const V* pending, const uint8_t* powers,
                                 Product* sum) {
    const V whitening = I::broadcast(key->roundKeys[0]);
    KL_UNROLL for (int i = 0; i < N; i++) state[i] = I::exclusiveOr(state[i], whitening);
    KL_UNROLL for (int r = 1; r < 10; r++) {
      const V k = I::broadcast(key->roundKeys[r]);
      KL_UNROLL for (int i = 0; i < N; i++) state[i] = I::aesenc(state[i], k);
      if (r <= M) {
        const int p = r % M;
        multiply(sum, pending[p], powers + p * sizeof(V));
      }
    }
    int r = 10;
    for (const int rounds = static_cast<int>(key->rounds); r < rounds; r += 2) {
      const V k1 = I::broadcast(key->roundKeys[r]);
      const V k2 = I::broadcast(key->roundKeys[r + 1]);
      KL_UNROLL for (int i = 0; i < N; i++) state[i] = I::aesenc(state[i], k1);
      KL_UNROLL for (int i = 0; i < N; i++) state[i] = I::aesenc(state[i], k2);
    }
    const V last = I::broadcast(key->roundKeys[r]);
    KL_UNROLL for (int i = 0; i < N; i++) state[i] = I::aesenclast(state[i], last);
  }

  // The next counter blocks, in wire order: `blocks` has one in each lane, `next` is the number of the first.
  struct Counter {
    V blocks;
    uint32_t next;
  };

  // Counter blocks of the next N vectors (SP 800-38D 6.2). The last byte counts alone unless it would overflow.
  template <int N>
  static KL_INLINE void counters(Counter* counter, V (&state)[N]) {
    constexpr uint32_t kBlocks = N * kLanes;
    if ((counter->next & 0xFF) + kBlocks + kLanes <= 0x100) {
      KL_UNROLL for (int i = 0; i < N; i++) state[i] = I::addWords(counter->blocks, (i * kLanes) << 24);
      counter->blocks = I::addWords(counter->blocks, kBlocks << 24);
    } else {
      const V reversed = I::reverse(counter->blocks);
      KL_UNROLL for (int i = 0; i < N; i++) state[i] = I::reverse(I::addLow(reversed, i * kLanes));
      counter->blocks = I::reverse(I::addLow(reversed, kBlocks));
    }
    counter->next += kBlocks;
  }

  // From the counter block J0 in wire order: the next block is J0 + 1 (SP 800-38D 6.5).
  static KL_INLINE Counter countersAfter(__m128i j0) {
    const __m128i reversed = block::reverse(j0);
    const V lanes = I::addLanes(I::broadcast(reversed), 1);
    return {I::reverse(lanes), static_cast<uint32_t>(_mm_cvtsi128_si32(reversed)) + 1};
  }

  // --- GHASH alone

  // GHASH of `bytes` padded with zeros, onto `y` (SP 800-38D 6.4). Not fused: for associated data and odd nonces.
  static KL_INLINE __m128i absorb(const GcmKey* key, __m128i y, const uint8_t* data, size_t bytes) {
    while (bytes > 0) {
      const size_t now = bytes < kBatchBytes ? bytes : kBatchBytes;
      const uint8_t* powers = powersFrom(key, (now + 15) / 16);
      Product sum = none();
      for (size_t at = 0; at < now; at += sizeof(V)) {
        const size_t left = now - at;
        V x = I::reverse(left >= sizeof(V) ? I::load(data + at) : I::loadPartial(data + at, left));
        if (at == 0) x = I::exclusiveOr(x, I::fromBlock(y));
        multiply(&sum, x, powers + at);
      }
      y = reduce(sum);
      data += now;
      bytes -= now;
    }
    return y;
  }

  static KL_INLINE __m128i lengthBlock(uint64_t aadBytes, uint64_t bytes) {
    return _mm_set_epi64x(static_cast<long long>(aadBytes * 8), static_cast<long long>(bytes * 8));
  }

  // J0 in wire order (SP 800-38D 7.1, step 2).
  static KL_INLINE __m128i firstCounter(const GcmKey* key, const uint8_t* nonce, size_t nonceBytes) {
    if (nonceBytes == kNonceBytes) return counterOf(nonce);
    const __m128i y = absorb(key, _mm_setzero_si128(), nonce, nonceBytes);
    const __m128i length = _mm_set_epi64x(0, static_cast<long long>(nonceBytes * 8));
    return block::reverse(multiplyBlock(_mm_xor_si128(y, length), block::load(key->powers[kPowers - 1])));
  }

  // nonce | 00000001, from 12 bytes.
  static KL_INLINE __m128i counterOf(const uint8_t* nonce) {
    int32_t words[3];
    __builtin_memcpy(words, nonce, sizeof words);
    return _mm_set_epi32(0x01000000, words[2], words[1], words[0]);
  }

  // --- a whole text

  // The last 1 to kBatchBytes bytes, V vectors of them. M is 8 where a batch is pending.
  template <bool kSeal, int N, int M>
  static KL_INLINE __m128i lastVectors(const GcmKey* key, Counter* counter, __m128i y, const uint8_t* src, size_t bytes,
                                       uint8_t* dst, V* pending, __m128i lengths) {
    const size_t blocks = (bytes + 15) / 16;
    const size_t tail = bytes - (N - 1) * sizeof(V);
    V state[N];
    V data[N];
    counters<N>(counter, state);
    KL_UNROLL for (int i = 0; i < N - 1; i++) data[i] = I::load(src + i * sizeof(V));
    data[N - 1] = I::loadPartial(src + (N - 1) * sizeof(V), tail);
    const uint8_t* powers = powersFrom(key, blocks + 1);
    Product sum = none();
    if (kSeal) {
      encipher<N, M>(key, state, pending, powersFrom(key, kBatchBlocks), &sum);
      if (M > 0) {
        y = reduce(sum);
        sum = none();
      }
    } else {
      KL_UNROLL for (int i = 0; i < N; i++) pending[i] = I::reverse(data[i]);
      pending[0] = I::exclusiveOr(pending[0], I::fromBlock(y));
      encipher<N, N>(key, state, pending, powers, &sum);
    }
    KL_UNROLL for (int i = 0; i < N; i++) data[i] = I::exclusiveOr(data[i], state[i]);
    KL_UNROLL for (int i = 0; i < N - 1; i++) I::store(dst + i * sizeof(V), data[i]);
    I::storePartial(dst + (N - 1) * sizeof(V), data[N - 1], tail);
    if (kSeal) {
      data[N - 1] = I::keepBytes(data[N - 1], tail);
      KL_UNROLL for (int i = 0; i < N; i++) {
        V x = I::reverse(data[i]);
        if (i == 0) x = I::exclusiveOr(x, I::fromBlock(y));
        multiply(&sum, x, powers + i * sizeof(V));
      }
    }
    multiply(&sum, I::fromBlock(lengths), powersFrom(key, 1));
    return reduce(sum);
  }

  template <bool kSeal, int M>
  static KL_INLINE __m128i lastBatch(const GcmKey* key, Counter* counter, __m128i y, const uint8_t* src, size_t bytes,
                                     uint8_t* dst, V* pending, __m128i lengths) {
    switch ((bytes + sizeof(V) - 1) / sizeof(V)) {
      case 1: return lastVectors<kSeal, 1, M>(key, counter, y, src, bytes, dst, pending, lengths);
      case 2: return lastVectors<kSeal, 2, M>(key, counter, y, src, bytes, dst, pending, lengths);
      case 3: return lastVectors<kSeal, 3, M>(key, counter, y, src, bytes, dst, pending, lengths);
      case 4: return lastVectors<kSeal, 4, M>(key, counter, y, src, bytes, dst, pending, lengths);
      case 5: return lastVectors<kSeal, 5, M>(key, counter, y, src, bytes, dst, pending, lengths);
      case 6: return lastVectors<kSeal, 6, M>(key, counter, y, src, bytes, dst, pending, lengths);
      case 7: return lastVectors<kSeal, 7, M>(key, counter, y, src, bytes, dst, pending, lengths);
      default: return lastVectors<kSeal, 8, M>(key, counter, y, src, bytes, dst, pending, lengths);
    }
  }

  // Enciphers or deciphers a text and returns GHASH over `y`, its ciphertext and the length block.
  // kFar: the text is larger than the caches, so that both sides are fetched ahead.
  template <bool kSeal, bool kFar>
  static KL_INLINE __m128i crypt(const GcmKey* key, Counter counter, __m128i y, const uint8_t* src, size_t bytes,
                                 uint8_t* dst, __m128i lengths) {
    if (bytes == 0) return multiplyBlock(_mm_xor_si128(y, lengths), block::load(key->powers[kPowers - 1]));
    V pending[kInFlight];
    if (bytes <= kBatchBytes) return lastBatch<kSeal, 0>(key, &counter, y, src, bytes, dst, pending, lengths);
    const uint8_t* powers = powersFrom(key, kBatchBlocks);
    V state[kInFlight];
    if (kSeal) {
      counters<kInFlight>(&counter, state);
      encipher<kInFlight, 0>(key, state, pending, powers, nullptr);
      KL_UNROLL for (int i = 0; i < kInFlight; i++) {
        const V sealed = I::exclusiveOr(state[i], I::load(src + i * sizeof(V)));
        I::store(dst + i * sizeof(V), sealed);
        pending[i] = I::reverse(sealed);
      }
      pending[0] = I::exclusiveOr(pending[0], I::fromBlock(y));
      src += kBatchBytes;
      dst += kBatchBytes;
      bytes -= kBatchBytes;
    }
    while (bytes > kBatchBytes) {
      if (kFar) {
        for (size_t at = 0; at < kBatchBytes; at += 64) {
          _mm_prefetch(reinterpret_cast<const char*>(src + kFarBytes + at), _MM_HINT_T0);
          __builtin_prefetch(dst + kFarBytes + at, 1);
        }
      }
      counters<kInFlight>(&counter, state);
      V data[kInFlight];
      if (!kSeal) {
        KL_UNROLL for (int i = 0; i < kInFlight; i++) {
          data[i] = I::load(src + i * sizeof(V));
          pending[i] = I::reverse(data[i]);
        }
        pending[0] = I::exclusiveOr(pending[0], I::fromBlock(y));
      }
      Product sum = none();
      encipher<kInFlight, kInFlight>(key, state, pending, powers, &sum);
      y = reduce(sum);
      KL_UNROLL for (int i = 0; i < kInFlight; i++) {
        if (kSeal) data[i] = I::load(src + i * sizeof(V));
        data[i] = I::exclusiveOr(data[i], state[i]);
        I::store(dst + i * sizeof(V), data[i]);
        if (kSeal) pending[i] = I::reverse(data[i]);
      }
      if (kSeal) pending[0] = I::exclusiveOr(pending[0], I::fromBlock(y));
      src += kBatchBytes;
      dst += kBatchBytes;
      bytes -= kBatchBytes;
    }
    return lastBatch<kSeal, kSeal ? kInFlight : 0>(key, &counter, y, src, bytes, dst, pending, lengths);
  }

  static constexpr size_t kFarBytes = 1024;      // how far ahead
  static constexpr size_t kNearBytes = 2 << 20;  // texts up to this stay in the caches

  template <bool kSeal>
  static KL_INLINE __m128i tagOf(const GcmKey* key, __m128i j0, __m128i y, uint64_t aadBytes, const uint8_t* src,
                                 size_t bytes, uint8_t* dst) {
    const __m128i mask = block::encipher(key, j0);
    const Counter counter = countersAfter(j0);
    const __m128i lengths = lengthBlock(aadBytes, bytes);
    y = bytes > kNearBytes ? crypt<kSeal, true>(key, counter, y, src, bytes, dst, lengths)
                           : crypt<kSeal, false>(key, counter, y, src, bytes, dst, lengths);
    return _mm_xor_si128(mask, block::reverse(y));
  }

  static KL_NOINLINE void ctrOnly(const GcmKey* key, const uint8_t* nonce, const uint8_t* src, size_t bytes,
                                  uint8_t* dst) {
    Counter counter = countersAfter(counterOf(nonce));
    for (; bytes >= kBatchBytes; bytes -= kBatchBytes, src += kBatchBytes, dst += kBatchBytes) {
      V state[kInFlight];
      counters<kInFlight>(&counter, state);
      encipher<kInFlight, 0>(key, state, nullptr, nullptr, nullptr);
      KL_UNROLL for (int i = 0; i < kInFlight; i++) {
        I::store(dst + i * sizeof(V), I::exclusiveOr(state[i], I::load(src + i * sizeof(V))));
      }
    }
    while (bytes > 0) {
      const size_t now = bytes < sizeof(V) ? bytes : sizeof(V);
      V state[1];
      counters<1>(&counter, state);
      encipher<1, 0>(key, state, nullptr, nullptr, nullptr);
      I::storePartial(dst, I::exclusiveOr(state[0], I::loadPartial(src, now)), now);
      src += now;
      dst += now;
      bytes -= now;
    }
  }

  // --- frames (AWS Encryption SDK, message body)

  // Associated data of the frames of one kind: message id, the kind's text, sequence number u32, plaintext bytes u64.
  // Its hash is that of the data with sequence number zero, plus the number's own block times its power of H.
  struct FrameKind {
    __m128i hash;      // with sequence number 0
    __m128i power;     // of the block that holds the number
    size_t shift;      // the number's lowest byte in that block, reversed order
    size_t aadBytes;
    uint64_t bytes;    // plaintext of a frame
  };

  static KL_INLINE FrameKind frameKind(const GcmKey* key, const FrameBatch* batch, bool final) {
    static const char kRegular[] = "AWSKMSEncryptionClient Frame";
    static const char kFinal[] = "AWSKMSEncryptionClient Final Frame";
    const char* text = final ? kFinal : kRegular;
    const size_t textBytes = (final ? sizeof kFinal : sizeof kRegular) - 1;
    FrameKind kind;
    kind.bytes = final ? batch->finalBytes : batch->frameBytes;
    uint8_t aad[32 + sizeof kFinal + 12] = {0};
    const size_t numberAt = batch->messageIdBytes + textBytes;
    kind.aadBytes = numberAt + 12;
    __builtin_memcpy(aad, batch->messageId, batch->messageIdBytes);
    __builtin_memcpy(aad + batch->messageIdBytes, text, textBytes);
    for (size_t i = 0; i < 8; i++) aad[numberAt + 4 + i] = static_cast<uint8_t>(kind.bytes >> (56 - 8 * i));
    kind.hash = absorb(key, _mm_setzero_si128(), aad, kind.aadBytes);
    const size_t blocks = (kind.aadBytes + 15) / 16;
    kind.power = block::load(powersFrom(key, blocks - numberAt / 16));
    kind.shift = 12 - numberAt % 16;  // the four bytes never straddle two blocks
    return kind;
  }

  static KL_INLINE __m128i frameHash(const FrameKind& kind, uint32_t sequence) {
    __m128i number = _mm_cvtsi32_si128(static_cast<int>(sequence));
    if (kind.shift != 0) {
      uint8_t reversed[16] = {0};
      __builtin_memcpy(reversed + kind.shift, &sequence, sizeof sequence);
      number = block::load(reversed);
    }
    return _mm_xor_si128(kind.hash, multiplyBlock(number, kind.power));
  }

  static constexpr size_t kRegularPrefixBytes = 4 + kNonceBytes;         // number, nonce
  static constexpr size_t kFinalPrefixBytes = 4 + 4 + kNonceBytes + 4;   // mark, number, nonce, length

  static KL_INLINE void storeWord(uint8_t* p, uint32_t value) {
    const uint32_t wire = __builtin_bswap32(value);
    __builtin_memcpy(p, &wire, sizeof wire);
  }

  static KL_INLINE __m128i counterOfSequence(uint32_t sequence) {
    return _mm_set_epi32(0x01000000, static_cast<int>(__builtin_bswap32(sequence)), 0, 0);
  }

  // Seals one frame behind its prefix.
  static KL_INLINE void sealFrame(const GcmKey* key, const FrameKind& kind, uint32_t sequence, const uint8_t* src,
                                  uint8_t* dst) {
    const __m128i tag = tagOf<true>(key, counterOfSequence(sequence), frameHash(kind, sequence), kind.aadBytes, src,
                                    kind.bytes, dst);
    block::store(dst + kind.bytes, tag);
  }

  static KL_NOINLINE void sealFrames(const GcmKey* key, const FrameBatch* batch) {
    const uint8_t* src = batch->src;
    uint8_t* dst = batch->dst;
    uint32_t sequence = batch->firstSequence;
    const FrameKind regular = frameKind(key, batch, false);
    for (uint32_t i = 0; i < batch->regularFrames; i++, sequence++) {
      storeWord(dst, sequence);
      block::store(dst + 4, _mm_setzero_si128());
      storeWord(dst + 12, sequence);
      sealFrame(key, regular, sequence, src, dst + kRegularPrefixBytes);
      src += batch->frameBytes;
      dst += kRegularPrefixBytes + batch->frameBytes + kTagBytes;
    }
    if (!batch->hasFinal) return;
    const FrameKind last = frameKind(key, batch, true);
    storeWord(dst, 0xFFFFFFFF);
    storeWord(dst + 4, sequence);
    storeWord(dst + 8, 0);
    storeWord(dst + 12, 0);
    storeWord(dst + 16, sequence);
    storeWord(dst + 20, static_cast<uint32_t>(batch->finalBytes));
    sealFrame(key, last, sequence, src, dst + kFinalPrefixBytes);
  }

  // The nonce and the tag are loaded before anything is stored: dst may lie in the memory of src.
  static KL_INLINE bool openFrame(const GcmKey* key, const FrameKind& kind, uint32_t sequence, const uint8_t* nonce,
                                  const uint8_t* src, uint8_t* dst) {
    const __m128i j0 = counterOf(nonce);
    const __m128i found = block::load(src + kind.bytes);
    const __m128i tag = tagOf<false>(key, j0, frameHash(kind, sequence), kind.aadBytes, src, kind.bytes, dst);
    return block::equal(tag, found);
  }

  static KL_NOINLINE bool openFrames(const GcmKey* key, const FrameBatch* batch) {
    const uint8_t* src = batch->src;
    uint8_t* dst = batch->dst;
    uint32_t sequence = batch->firstSequence;
    const FrameKind regular = frameKind(key, batch, false);
    bool opened = true;
    for (uint32_t i = 0; i < batch->regularFrames && opened; i++, sequence++) {
      uint8_t* out = batch->scratch == nullptr ? dst : batch->scratch;
      opened = openFrame(key, regular, sequence, src + 4, src + kRegularPrefixBytes, out);
      if (opened && out != dst) __builtin_memcpy(dst, out, batch->frameBytes);
      src += kRegularPrefixBytes + batch->frameBytes + kTagBytes;
      dst += batch->frameBytes;
    }
    if (opened && batch->hasFinal) {
      const FrameKind last = frameKind(key, batch, true);
      uint8_t* out = batch->scratch == nullptr ? dst : batch->scratch;
      opened = openFrame(key, last, sequence, src + 8, src + kFinalPrefixBytes, out);
      if (opened && out != dst) __builtin_memcpy(dst, out, batch->finalBytes);
    }
    if (!opened) {
      const uint64_t all = batch->regularFrames * batch->frameBytes + (batch->hasFinal ? batch->finalBytes : 0);
      __builtin_memset(batch->dst, 0, all);
    }
    return opened;
  }

  // --- records

  static KL_INLINE __m128i recordAad(const GcmKey* key, const RecordBatch* batch, size_t i, size_t* aadBytes) {
    *aadBytes = 0;
    if (batch->aad == nullptr) return _mm_setzero_si128();
    const uint32_t from = batch->aadOffsets[i];
    *aadBytes = batch->aadOffsets[i + 1] - from;
    return absorb(key, _mm_setzero_si128(), batch->aad + from, *aadBytes);
  }

  static KL_INLINE void sealRecord(const GcmKey* key, const RecordBatch* batch, size_t i, __m128i prefix,
                                   uint8_t* dst) {
    const uint8_t* nonce = batch->nonces + i * kNonceBytes;
    const uint8_t* src = batch->src + batch->srcOffsets[i];
    const size_t bytes = batch->srcOffsets[i + 1] - batch->srcOffsets[i];
    block::store(dst, prefix);  // what it writes too far, the nonce and what follows write over
    dst += batch->prefixBytes;
    const __m128i j0 = counterOf(nonce);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(dst), j0);
    const int word = _mm_extract_epi32(j0, 2);
    __builtin_memcpy(dst + 8, &word, sizeof word);
    dst += kNonceBytes;
    size_t aadBytes;
    const __m128i y = recordAad(key, batch, i, &aadBytes);
    block::store(dst + bytes, tagOf<true>(key, j0, y, aadBytes, src, bytes, dst));
  }

  static KL_NOINLINE void sealRecords(const GcmKey* key, const RecordBatch* batch) {
    const __m128i prefix = block::loadPartial(batch->prefix, batch->prefixBytes);
    const uint32_t overhead = static_cast<uint32_t>(batch->prefixBytes + kNonceBytes + kTagBytes);
    uint32_t at = 0;
    size_t i = 0;
    while (i < batch->count) {
      if (I::kGroups && batch->aad == nullptr && i + 8 <= batch->count && groupFits(batch, i, 0)) {
        sealGroup(key, batch, i, prefix, &at);
        i += 8;
        continue;
      }
      batch->dstOffsets[i] = at;
      sealRecord(key, batch, i, prefix, batch->dst + at);
      at += batch->srcOffsets[i + 1] - batch->srcOffsets[i] + overhead;
      i++;
    }
    batch->dstOffsets[batch->count] = at;
  }

  static KL_INLINE bool samePrefix(__m128i prefix, const uint8_t* record, size_t prefixBytes) {
    return block::equal(prefix, block::loadPartial(record, prefixBytes));
  }

  static KL_INLINE RecordStatus openRecord(const GcmKey* key, const RecordBatch* batch, size_t i, __m128i prefix,
                                           uint8_t* dst) {
    const uint8_t* src = batch->src + batch->srcOffsets[i];
    const size_t sealedBytes = batch->srcOffsets[i + 1] - batch->srcOffsets[i];
    if (sealedBytes < batch->prefixBytes + kNonceBytes + kTagBytes) return kRecordTooShort;
    if (!samePrefix(prefix, src, batch->prefixBytes)) return kRecordOtherPrefix;
    src += batch->prefixBytes;
    const size_t bytes = sealedBytes - batch->prefixBytes - kNonceBytes - kTagBytes;
    const __m128i j0 = counterOf(src);
    src += kNonceBytes;
    const __m128i found = block::load(src + bytes);
    size_t aadBytes;
    const __m128i y = recordAad(key, batch, i, &aadBytes);
    uint8_t* out = batch->scratch == nullptr ? dst : batch->scratch;
    const __m128i tag = tagOf<false>(key, j0, y, aadBytes, src, bytes, out);
    if (!block::equal(tag, found)) {
      __builtin_memset(out, 0, bytes);
      return kRecordNotAuthentic;
    }
    if (out != dst) __builtin_memcpy(dst, out, bytes);
    return kRecordOpened;
  }

  static KL_NOINLINE size_t openRecords(const GcmKey* key, const RecordBatch* batch) {
    const __m128i prefix = block::loadPartial(batch->prefix, batch->prefixBytes);
    const uint32_t overhead = static_cast<uint32_t>(batch->prefixBytes + kNonceBytes + kTagBytes);
    uint32_t at = 0;
    size_t failed = 0;
    size_t i = 0;
    while (i < batch->count) {
      if (I::kGroups && batch->aad == nullptr && batch->scratch == nullptr && i + 8 <= batch->count &&
          groupFits(batch, i, overhead)) {
        failed += openGroup(key, batch, i, prefix, &at);
        i += 8;
        continue;
      }
      batch->dstOffsets[i] = at;
      const RecordStatus status = openRecord(key, batch, i, prefix, batch->dst + at);
      batch->status[i] = status;
      if (status == kRecordOpened) at += batch->srcOffsets[i + 1] - batch->srcOffsets[i] - overhead;
      else failed++;
      i++;
    }
    batch->dstOffsets[batch->count] = at;
    return failed;
  }

  // Eight records of at most 64 bytes each, side by side.
  static KL_INLINE bool groupFits(const RecordBatch* batch, size_t first, uint32_t overhead) {
    bool fits = true;
    for (size_t i = first; i < first + 8; i++) {
      const uint32_t bytes = batch->srcOffsets[i + 1] - batch->srcOffsets[i];
      fits &= bytes - overhead <= 64;  // shorter than the overhead: wraps, and does not fit
    }
    return fits;
  }
  static KL_INLINE void sealGroup(const GcmKey* key, const RecordBatch* batch, size_t first, __m128i prefix,
                                  uint32_t* at) {
    I::template sealGroup<Gcm>(key, batch, first, prefix, at);
  }
  static KL_INLINE size_t openGroup(const GcmKey* key, const RecordBatch* batch, size_t first, __m128i prefix,
                                    uint32_t* at) {
    return I::template openGroup<Gcm>(key, batch, first, prefix, at);
  }

  // --- one buffer

  static KL_NOINLINE void sealOne(const GcmKey* key, const uint8_t* nonce, size_t nonceBytes, const uint8_t* aad,
                                  size_t aadBytes, const uint8_t* src, size_t bytes, uint8_t* dst, uint8_t* tag) {
    const __m128i j0 = firstCounter(key, nonce, nonceBytes);
    const __m128i y = absorb(key, _mm_setzero_si128(), aad, aadBytes);
    block::store(tag, tagOf<true>(key, j0, y, aadBytes, src, bytes, dst));
  }

  static KL_NOINLINE bool openOne(const GcmKey* key, const uint8_t* nonce, size_t nonceBytes, const uint8_t* aad,
                                  size_t aadBytes, const uint8_t* src, size_t bytes, const uint8_t* tag, uint8_t* dst,
                                  uint8_t* scratch) {
    const __m128i found = block::load(tag);
    const __m128i j0 = firstCounter(key, nonce, nonceBytes);
    const __m128i y = absorb(key, _mm_setzero_si128(), aad, aadBytes);
    uint8_t* out = scratch == nullptr ? dst : scratch;
    const __m128i computed = tagOf<false>(key, j0, y, aadBytes, src, bytes, out);
    const bool opened = block::equal(computed, found);
    if (!opened) __builtin_memset(dst, 0, bytes);
    else if (out != dst) __builtin_memcpy(dst, out, bytes);
    return opened;
  }

  // --- what leaves this file: each wipes the registers and the stack it used

  static KL_NOINLINE void expandOut(GcmKey* key, const uint8_t* bytes, size_t keyBytes) { expand(key, bytes, keyBytes); }
  static KL_NOINLINE void blockOut(const GcmKey* key, const uint8_t* src, uint8_t* dst) {
    block::store(dst, block::encipher(key, block::load(src)));
  }

  static void expandEntry(GcmKey* key, const uint8_t* bytes, size_t keyBytes) {
    expandOut(key, bytes, keyBytes);
    wipeTraces<I>();
  }
  static void blockEntry(const GcmKey* key, const uint8_t src[16], uint8_t dst[16]) {
    blockOut(key, src, dst);
    wipeTraces<I>();
  }
  static void sealEntry(const GcmKey* key, const uint8_t* nonce, size_t nonceBytes, const uint8_t* aad,
                        size_t aadBytes, const uint8_t* src, size_t bytes, uint8_t* dst, uint8_t* tag) {
    sealOne(key, nonce, nonceBytes, aad, aadBytes, src, bytes, dst, tag);
    wipeTraces<I>();
  }
  static bool openEntry(const GcmKey* key, const uint8_t* nonce, size_t nonceBytes, const uint8_t* aad,
                        size_t aadBytes, const uint8_t* src, size_t bytes, const uint8_t* tag, uint8_t* dst,
                        uint8_t* scratch) {
    const bool opened = openOne(key, nonce, nonceBytes, aad, aadBytes, src, bytes, tag, dst, scratch);
    wipeTraces<I>();
    return opened;
  }
  static void sealFramesEntry(const GcmKey* key, const FrameBatch* batch) {
    sealFrames(key, batch);
    wipeTraces<I>();
  }
  static bool openFramesEntry(const GcmKey* key, const FrameBatch* batch) {
    const bool opened = openFrames(key, batch);
    wipeTraces<I>();
    return opened;
  }
  static void sealRecordsEntry(const GcmKey* key, const RecordBatch* batch) {
    sealRecords(key, batch);
    wipeTraces<I>();
  }
  static size_t openRecordsEntry(const GcmKey* key, const RecordBatch* batch) {
    const size_t failed = openRecords(key, batch);
    wipeTraces<I>();
    return failed;
  }
  static void ctrEntry(const GcmKey* key, const uint8_t nonce[12], const uint8_t* src, size_t bytes, uint8_t* dst) {
    ctrOnly(key, nonce, src, bytes, dst);
    wipeTraces<I>();
  }

  static constexpr Kernel kernel(const char* name) {
    return {name,           expandEntry,     blockEntry,      sealEntry,        openEntry,
            sealFramesEntry, openFramesEntry, sealRecordsEntry, openRecordsEntry, ctrEntry};
  }
};

}  // namespace
}  // namespace keyladder

#endif  // KEYLADDER_KERNELS_GCM_DRIVER_H_
