// AES-GCM (SP 800-38D) of one text over any vector width `I`: keys, counters, GHASH, tails, tags. Included inside a
// kernel's own target region.
//
// Eight vectors are in flight. Sealing hashes the batch before while it enciphers this one, from registers or from
// scratch on the stack; opening hashes the batch it deciphers. Block i of the last n, the length block behind them,
// meets H^(n+1-i): one reduction a batch.
//
// GHASH works on byte-reversed blocks with the powers of H times x, so that a carry-less product needs no shift
// (Gueron and Kounavis, "Intel Carry-Less Multiplication Instruction", algorithm 5); the reduction divides by x^128.

#ifndef KEYLADDER_KERNELS_GCM_TEXT_H_
#define KEYLADDER_KERNELS_GCM_TEXT_H_

namespace keyladder {
namespace {

template <class I>
struct Text {
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

  // What a caller may share with other threads.
  static KL_INLINE V loadOnce(const uint8_t* p) {
    V v = I::load(p);
    KL_ONCE(v);
    return v;
  }
  static KL_INLINE V loadPartialOnce(const uint8_t* p, size_t bytes) {
    V v = I::loadPartial(p, bytes);
    KL_ONCE(v);
    return v;
  }

  // Plaintext that a tag covers, out of scratch. Not by the C library, which may use registers that only a wider kernel
  // can clear.
  static KL_INLINE void copy(uint8_t* dst, const uint8_t* src, size_t bytes) {
    for (; bytes >= sizeof(V); bytes -= sizeof(V), src += sizeof(V), dst += sizeof(V)) I::store(dst, I::load(src));
    if (bytes > 0) I::storePartial(dst, I::loadPartial(src, bytes), bytes);
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
    uint32_t next;    // of its lowest byte only
    uint32_t always;  // bits that stay set in it: all where the start is secret, so that no branch depends on it
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
    counter->next = (counter->next + kBlocks) | counter->always;
  }

  // From the counter block J0 in wire order: the next block is J0 + 1 (SP 800-38D 6.5). `hashed`: J0 comes of GHASH; else
  // it ends in 1.
  static KL_INLINE Counter countersAfter(__m128i j0, bool hashed) {
    const __m128i reversed = block::reverse(j0);
    const V lanes = I::addLanes(I::broadcast(reversed), 1);
    const uint32_t always = hashed ? 0xFF : 0;
    return {I::reverse(lanes), 2 | always, always};
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
        V x = I::reverse(left >= sizeof(V) ? loadOnce(data + at) : loadPartialOnce(data + at, left));
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
    __m128i counter = _mm_set_epi32(0x01000000, words[2], words[1], words[0]);
    KL_ONCE(counter);  // the mask of the tag and the key stream are of one nonce
    return counter;
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
    KL_UNROLL for (int i = 0; i < N - 1; i++) data[i] = loadOnce(src + i * sizeof(V));
    data[N - 1] = loadPartialOnce(src + (N - 1) * sizeof(V), tail);
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
  // A text larger than the caches is fetched ahead on both sides.
  template <bool kSeal>
  static KL_INLINE __m128i crypt(const GcmKey* key, Counter counter, __m128i y, const uint8_t* src, size_t bytes,
                                 uint8_t* dst, __m128i lengths) {
    const bool far = bytes > kNearBytes;
    if (bytes == 0) return multiplyBlock(_mm_xor_si128(y, lengths), block::load(key->powers[kPowers - 1]));
    V pending[kInFlight];
    if (bytes <= kBatchBytes) return lastBatch<kSeal, 0>(key, &counter, y, src, bytes, dst, pending, lengths);
    const uint8_t* powers = powersFrom(key, kBatchBlocks);
    V state[kInFlight];
    if (kSeal) {
      counters<kInFlight>(&counter, state);
      encipher<kInFlight, 0>(key, state, pending, powers, nullptr);
      KL_UNROLL for (int i = 0; i < kInFlight; i++) {
        V sealed = I::exclusiveOr(state[i], I::load(src + i * sizeof(V)));
        KL_ONCE(sealed);
        I::store(dst + i * sizeof(V), sealed);
        pending[i] = I::reverse(sealed);
      }
      pending[0] = I::exclusiveOr(pending[0], I::fromBlock(y));
      src += kBatchBytes;
      dst += kBatchBytes;
      bytes -= kBatchBytes;
    }
    while (bytes > kBatchBytes) {
      if (far) {
        for (size_t at = 0; at < kBatchBytes; at += 64) {
          _mm_prefetch(reinterpret_cast<const char*>(src + kFarBytes + at), _MM_HINT_T0);
          __builtin_prefetch(dst + kFarBytes + at, 1);
        }
      }
      counters<kInFlight>(&counter, state);
      V data[kInFlight];
      if (!kSeal) {
        KL_UNROLL for (int i = 0; i < kInFlight; i++) {
          data[i] = loadOnce(src + i * sizeof(V));
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
        if (kSeal) KL_ONCE(data[i]);
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

  // How many texts have the masks of their tags, E(J0), computed in one go.
  static constexpr size_t kTexts = 8;

  static KL_INLINE void tagMasks(const GcmKey* key, const __m128i (&j0)[kTexts], __m128i (&masks)[kTexts]) {
    V state[kTexts / kLanes];
    KL_UNROLL for (size_t i = 0; i < kTexts / kLanes; i++) state[i] = I::gather(j0 + i * kLanes);
    encipher<kTexts / kLanes, 0>(key, state, nullptr, nullptr, nullptr);
    KL_UNROLL for (size_t i = 0; i < kTexts / kLanes; i++) I::scatter(state[i], masks + i * kLanes);
  }

  // The tag of a text: `mask` is E(J0), `y` the hash of its associated data. A function of its own: the bulk of the code.
  template <bool kSeal>
  static KL_NOINLINE __m128i tagOf(const GcmKey* key, __m128i j0, __m128i mask, __m128i y, uint64_t aadBytes,
                                 const uint8_t* src, size_t bytes, uint8_t* dst, bool hashed = false) {
    const Counter counter = countersAfter(j0, hashed);
    const __m128i lengths = lengthBlock(aadBytes, bytes);
    y = crypt<kSeal>(key, counter, y, src, bytes, dst, lengths);
    return _mm_xor_si128(mask, block::reverse(y));
  }

  static KL_NOINLINE void ctrOnly(const GcmKey* key, const uint8_t* nonce, const uint8_t* src, size_t bytes,
                                  uint8_t* dst) {
    Counter counter = countersAfter(counterOf(nonce), false);
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
};

}  // namespace
}  // namespace keyladder

#endif  // KEYLADDER_KERNELS_GCM_TEXT_H_
