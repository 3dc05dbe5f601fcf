// AES-GCM (SP 800-38D) over any vector width: counters, tails, associated data, tags, framing. A kernel file brings the
// instructions as a struct `I` (see gcm_avx512.cc) and includes gcm_block.h before it and this behind it, all inside its
// own target region.
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

// More stack than the functions below use (GCC's -fstack-usage: 1216 bytes for one buffer, 3016 for a batch); the
// native tests look for traces of secrets behind every call.
constexpr size_t kOneStackBytes = 1536;
constexpr size_t kBatchStackBytes = 4096;

// Overwrites the stack below the caller, where a function that has just returned kept its spilled registers. Neither
// alignment nor a canary may keep the array away from the caller's frame: what lies between them would stay.
template <class I, size_t kBytes>
KL_NOINLINE KL_NO_CANARY void wipeStack() {
  alignas(16) uint8_t stack[kBytes];
  KL_UNROLL for (size_t at = 0; at < kBytes; at += sizeof(typename I::V)) I::store(stack + at, I::zero());
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

  // How many texts have the masks of their tags, E(J0), computed in one go.
  static constexpr size_t kTexts = 8;

  static KL_INLINE void tagMasks(const GcmKey* key, const __m128i (&j0)[kTexts], __m128i (&masks)[kTexts]) {
    V state[kTexts / kLanes];
    KL_UNROLL for (size_t i = 0; i < kTexts / kLanes; i++) state[i] = I::gather(j0 + i * kLanes);
    encipher<kTexts / kLanes, 0>(key, state, nullptr, nullptr, nullptr);
    KL_UNROLL for (size_t i = 0; i < kTexts / kLanes; i++) I::scatter(state[i], masks + i * kLanes);
  }

  // The tag of a text: `mask` is E(J0), `y` the hash of its associated data.
  template <bool kSeal>
  static KL_INLINE __m128i tagOf(const GcmKey* key, __m128i j0, __m128i mask, __m128i y, uint64_t aadBytes,
                                 const uint8_t* src, size_t bytes, uint8_t* dst) {
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
  static KL_INLINE void sealFrame(const GcmKey* key, const FrameKind& kind, uint32_t sequence, __m128i mask,
                                  const uint8_t* src, uint8_t* dst) {
    const __m128i tag = tagOf<true>(key, counterOfSequence(sequence), mask, frameHash(kind, sequence), kind.aadBytes,
                                    src, kind.bytes, dst);
    block::store(dst + kind.bytes, tag);
  }

  static KL_NOINLINE void sealFrames(const GcmKey* key, const FrameBatch* batch) {
    const uint8_t* src = batch->src;
    uint8_t* dst = batch->dst;
    uint32_t sequence = batch->firstSequence;
    const FrameKind regular = frameKind(key, batch, false);
    __m128i masks[kTexts];
    for (uint32_t i = 0; i < batch->regularFrames; i++, sequence++) {
      if (i % kTexts == 0) {
        __m128i j0[kTexts];
        KL_UNROLL for (size_t j = 0; j < kTexts; j++) j0[j] = counterOfSequence(sequence + static_cast<uint32_t>(j));
        tagMasks(key, j0, masks);
      }
      storeWord(dst, sequence);
      block::store(dst + 4, _mm_setzero_si128());
      storeWord(dst + 12, sequence);
      sealFrame(key, regular, sequence, masks[i % kTexts], src, dst + kRegularPrefixBytes);
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
    const __m128i mask = block::encipher(key, counterOfSequence(sequence));
    sealFrame(key, last, sequence, mask, src, dst + kFinalPrefixBytes);
  }

  // The tag is loaded before anything is stored: dst may lie in the memory of src.
  static KL_INLINE bool openFrame(const GcmKey* key, const FrameKind& kind, uint32_t sequence, __m128i j0,
                                  __m128i mask, const uint8_t* src, uint8_t* dst) {
    const __m128i found = block::load(src + kind.bytes);
    const __m128i tag = tagOf<false>(key, j0, mask, frameHash(kind, sequence), kind.aadBytes, src, kind.bytes, dst);
    return block::equal(tag, found);
  }

  static KL_NOINLINE bool openFrames(const GcmKey* key, const FrameBatch* batch) {
    const uint8_t* src = batch->src;
    uint8_t* dst = batch->dst;
    uint32_t sequence = batch->firstSequence;
    const FrameKind regular = frameKind(key, batch, false);
    const size_t wireBytes = kRegularPrefixBytes + batch->frameBytes + kTagBytes;
    __m128i j0[kTexts];
    __m128i masks[kTexts];
    bool opened = true;
    for (uint32_t i = 0; i < batch->regularFrames && opened; i++, sequence++) {
      if (i % kTexts == 0) {  // the nonces come from the wire, before any plaintext may lie over them
        const size_t left = batch->regularFrames - i;
        for (size_t j = 0; j < kTexts; j++) j0[j] = counterOf(src + 4 + (j < left ? j : 0) * wireBytes);
        tagMasks(key, j0, masks);
      }
      uint8_t* out = batch->scratch == nullptr ? dst : batch->scratch;
      opened = openFrame(key, regular, sequence, j0[i % kTexts], masks[i % kTexts], src + kRegularPrefixBytes, out);
      if (opened && out != dst) copy(dst, out, batch->frameBytes);
      src += wireBytes;
      dst += batch->frameBytes;
    }
    if (opened && batch->hasFinal) {
      const FrameKind last = frameKind(key, batch, true);
      uint8_t* out = batch->scratch == nullptr ? dst : batch->scratch;
      const __m128i first = counterOf(src + 8);
      opened = openFrame(key, last, sequence, first, block::encipher(key, first), src + kFinalPrefixBytes, out);
      if (opened && out != dst) copy(dst, out, batch->finalBytes);
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

  static KL_INLINE size_t recordBytes(const RecordBatch* batch, size_t i) {
    return batch->srcOffsets[i + 1] - batch->srcOffsets[i];
  }

  // A record that is being sealed or opened.
  struct Record {
    const uint8_t* src;
    size_t bytes;  // of plaintext
    __m128i j0;
    __m128i mask;
    __m128i y;  // hash of the associated data
    size_t aadBytes;
  };

  // R records of N vectors each, R * N at most 8: their rounds, and then their hashes, overlap. Nothing is stored.
  template <bool kSeal, int R, int N>
  static KL_INLINE void cryptTogether(const GcmKey* key, const Record* records, V (&text)[R * N], __m128i (&tags)[R]) {
    V state[R * N];
    KL_UNROLL for (int i = 0; i < R * N; i++) {
      state[i] = I::addWords(I::countLanes(records[i / N].j0), ((i % N) * kLanes) << 24);
    }
    encipher<R * N, 0>(key, state, nullptr, nullptr, nullptr);
    KL_UNROLL for (int r = 0; r < R; r++) {
      const Record& record = records[r];
      const size_t tail = record.bytes - (N - 1) * sizeof(V);
      const uint8_t* powers = powersFrom(key, (record.bytes + 15) / 16 + 1);
      Product sum = none();
      KL_UNROLL for (int i = 0; i < N; i++) {
        const uint8_t* src = record.src + i * sizeof(V);
        const V data = i < N - 1 ? I::load(src) : I::loadPartial(src, tail);
        V& out = text[r * N + i];
        out = I::exclusiveOr(data, state[r * N + i]);
        V sealed = data;
        if (kSeal) sealed = i < N - 1 ? out : I::keepBytes(out, tail);
        sealed = I::reverse(sealed);
        if (i == 0) sealed = I::exclusiveOr(sealed, I::fromBlock(record.y));
        multiply(&sum, sealed, powers + i * sizeof(V));
      }
      multiply(&sum, I::fromBlock(lengthBlock(record.aadBytes, record.bytes)), powersFrom(key, 1));
      tags[r] = _mm_xor_si128(record.mask, block::reverse(reduce(sum)));
    }
  }

  template <int N>
  static KL_INLINE void storeText(uint8_t* dst, const V* text, size_t bytes) {
    KL_UNROLL for (int i = 0; i < N - 1; i++) I::store(dst + i * sizeof(V), text[i]);
    I::storePartial(dst + (N - 1) * sizeof(V), text[N - 1], bytes - (N - 1) * sizeof(V));
  }

  // How many of the records that follow have as many vectors as the first: a power of two, vectors in all at most 8.
  static KL_INLINE size_t alike(const Record* records, size_t count) {
    const size_t vectors = (records[0].bytes + sizeof(V) - 1) / sizeof(V);
    if (vectors == 0 || vectors > 4) return 1;
    const size_t most = vectors == 1 ? 8 : vectors == 2 ? 4 : 2;
    if (count < most) return 1;
    for (size_t i = 1; i < most; i++) {
      if ((records[i].bytes + sizeof(V) - 1) / sizeof(V) != vectors) return 1;
    }
    return most;
  }

  // --- sealing

  // What stands before the ciphertext; each store overwrites what the one before wrote too far. Returns its place.
  static KL_INLINE uint8_t* storeHead(const RecordBatch* batch, __m128i prefix, __m128i j0, uint8_t* dst) {
    block::store(dst, prefix);
    block::store(dst + batch->prefixBytes, j0);
    return dst + batch->prefixBytes + kNonceBytes;
  }

  template <int R, int N>
  static KL_INLINE void sealTogether(const GcmKey* key, const RecordBatch* batch, size_t first, __m128i prefix,
                                     const Record* records, uint32_t* at) {
    V text[R * N];
    __m128i tags[R];
    cryptTogether<true, R, N>(key, records, text, tags);
    KL_UNROLL for (int r = 0; r < R; r++) {
      batch->dstOffsets[first + r] = *at;
      uint8_t* dst = storeHead(batch, prefix, records[r].j0, batch->dst + *at);
      storeText<N>(dst, text + r * N, records[r].bytes);
      block::store(dst + records[r].bytes, tags[r]);
      *at += static_cast<uint32_t>(batch->prefixBytes + kNonceBytes + records[r].bytes + kTagBytes);
    }
  }

  static KL_INLINE void sealRecord(const GcmKey* key, const RecordBatch* batch, size_t i, __m128i prefix,
                                   const Record& record, uint32_t* at) {
    batch->dstOffsets[i] = *at;
    uint8_t* dst = storeHead(batch, prefix, record.j0, batch->dst + *at);
    const __m128i tag =
        tagOf<true>(key, record.j0, record.mask, record.y, record.aadBytes, record.src, record.bytes, dst);
    block::store(dst + record.bytes, tag);
    *at += static_cast<uint32_t>(batch->prefixBytes + kNonceBytes + record.bytes + kTagBytes);
  }

  static KL_NOINLINE void sealRecords(const GcmKey* key, const RecordBatch* batch) {
    const __m128i prefix = block::loadPartial(batch->prefix, batch->prefixBytes);
    uint32_t at = 0;
    for (size_t first = 0; first < batch->count; first += kTexts) {
      const size_t now = batch->count - first < kTexts ? batch->count - first : kTexts;
      if (I::kGroups && now == kTexts && groupFits(batch, first, 0)) {
        I::template sealGroup<Gcm>(key, batch, first, prefix, &at);
        continue;
      }
      __m128i j0[kTexts];
      __m128i masks[kTexts];
      Record records[kTexts];
      for (size_t i = 0; i < kTexts; i++) j0[i] = counterOf(batch->nonces + (first + (i < now ? i : 0)) * kNonceBytes);
      tagMasks(key, j0, masks);
      for (size_t i = 0; i < now; i++) {
        Record& record = records[i];
        record.src = batch->src + batch->srcOffsets[first + i];
        record.bytes = recordBytes(batch, first + i);
        record.j0 = j0[i];
        record.mask = masks[i];
        record.y = recordAad(key, batch, first + i, &record.aadBytes);
      }
      for (size_t i = 0; i < now;) {
        const size_t together = alike(records + i, now - i);
        switch (together == 1 ? 0 : (records[i].bytes + sizeof(V) - 1) / sizeof(V)) {
          case 1: sealTogether<8, 1>(key, batch, first + i, prefix, records + i, &at); break;
          case 2: sealTogether<4, 2>(key, batch, first + i, prefix, records + i, &at); break;
          case 3: sealTogether<2, 3>(key, batch, first + i, prefix, records + i, &at); break;
          case 4: sealTogether<2, 4>(key, batch, first + i, prefix, records + i, &at); break;
          default: sealRecord(key, batch, first + i, prefix, records[i], &at);
        }
        i += together;
      }
    }
    batch->dstOffsets[batch->count] = at;
  }

  // --- opening

  // What a record on the wire claims. Where `status` is not "opened", nothing else of it counts.
  struct Sealed {
    __m128i tag;
    RecordStatus status;
  };

  static KL_INLINE void verdict(const RecordBatch* batch, size_t i, RecordStatus status, size_t bytes, uint32_t* at,
                                size_t* failed) {
    batch->status[i] = status;
    if (status == kRecordOpened) *at += static_cast<uint32_t>(bytes);
    else ++*failed;
  }

  template <int R, int N>
  static KL_INLINE void openTogether(const GcmKey* key, const RecordBatch* batch, size_t first, const Record* records,
                                     const Sealed* sealed, uint32_t* at, size_t* failed) {
    V text[R * N];
    __m128i tags[R];
    cryptTogether<false, R, N>(key, records, text, tags);
    KL_UNROLL for (int r = 0; r < R; r++) {
      batch->dstOffsets[first + r] = *at;
      const bool authentic = block::equal(tags[r], sealed[r].tag);
      if (authentic) storeText<N>(batch->dst + *at, text + r * N, records[r].bytes);
      verdict(batch, first + r, authentic ? kRecordOpened : kRecordNotAuthentic, records[r].bytes, at, failed);
    }
  }

  static KL_INLINE void openRecord(const GcmKey* key, const RecordBatch* batch, size_t i, const Record& record,
                                   const Sealed& sealed, uint32_t* at, size_t* failed) {
    uint8_t* dst = batch->dst + *at;
    batch->dstOffsets[i] = *at;
    RecordStatus status = sealed.status;
    if (status == kRecordOpened) {
      uint8_t* out = batch->scratch == nullptr ? dst : batch->scratch;
      const __m128i tag =
          tagOf<false>(key, record.j0, record.mask, record.y, record.aadBytes, record.src, record.bytes, out);
      if (!block::equal(tag, sealed.tag)) {
        __builtin_memset(out, 0, record.bytes);
        status = kRecordNotAuthentic;
      } else if (out != dst) {
        copy(dst, out, record.bytes);
      }
    }
    verdict(batch, i, status, record.bytes, at, failed);
  }

  // Prefix, nonce and tag of a record, each loaded once.
  static KL_INLINE void readSealed(const RecordBatch* batch, size_t i, __m128i prefix, Record* record, Sealed* sealed) {
    const size_t overhead = batch->prefixBytes + kNonceBytes + kTagBytes;
    const size_t sealedBytes = recordBytes(batch, i);
    const uint8_t* src = batch->src + batch->srcOffsets[i];
    record->bytes = 0;
    record->j0 = _mm_setzero_si128();
    if (sealedBytes < overhead) {
      sealed->status = kRecordTooShort;
      return;
    }
    record->bytes = sealedBytes - overhead;
    record->src = src + batch->prefixBytes + kNonceBytes;
    record->j0 = counterOf(src + batch->prefixBytes);
    sealed->tag = block::load(record->src + record->bytes);
    const bool known = block::equal(prefix, block::keepFirst(block::load(src), batch->prefixBytes));
    sealed->status = known ? kRecordOpened : kRecordOtherPrefix;
  }

  static KL_NOINLINE size_t openRecords(const GcmKey* key, const RecordBatch* batch) {
    const __m128i prefix = block::loadPartial(batch->prefix, batch->prefixBytes);
    const uint32_t overhead = static_cast<uint32_t>(batch->prefixBytes + kNonceBytes + kTagBytes);
    uint32_t at = 0;
    size_t failed = 0;
    for (size_t first = 0; first < batch->count; first += kTexts) {
      const size_t now = batch->count - first < kTexts ? batch->count - first : kTexts;
      if (I::kGroups && now == kTexts && groupFits(batch, first, overhead)) {
        failed += I::template openGroup<Gcm>(key, batch, first, prefix, &at);
        continue;
      }
      __m128i j0[kTexts] = {};
      __m128i masks[kTexts];
      Record records[kTexts];
      Sealed sealed[kTexts];
      bool whole = true;
      for (size_t i = 0; i < now; i++) {
        readSealed(batch, first + i, prefix, &records[i], &sealed[i]);
        j0[i] = records[i].j0;
        whole &= sealed[i].status == kRecordOpened;
      }
      tagMasks(key, j0, masks);
      for (size_t i = 0; i < now; i++) {
        records[i].mask = masks[i];
        records[i].y = recordAad(key, batch, first + i, &records[i].aadBytes);
      }
      for (size_t i = 0; i < now;) {
        const size_t together = whole ? alike(records + i, now - i) : 1;
        switch (together == 1 ? 0 : (records[i].bytes + sizeof(V) - 1) / sizeof(V)) {
          case 1: openTogether<8, 1>(key, batch, first + i, records + i, sealed + i, &at, &failed); break;
          case 2: openTogether<4, 2>(key, batch, first + i, records + i, sealed + i, &at, &failed); break;
          case 3: openTogether<2, 3>(key, batch, first + i, records + i, sealed + i, &at, &failed); break;
          case 4: openTogether<2, 4>(key, batch, first + i, records + i, sealed + i, &at, &failed); break;
          default: openRecord(key, batch, first + i, records[i], sealed[i], &at, &failed);
        }
        i += together;
      }
    }
    batch->dstOffsets[batch->count] = at;
    return failed;
  }

  // Eight records without associated data, of at most 64 bytes each: a kernel may take them side by side.
  static KL_INLINE bool groupFits(const RecordBatch* batch, size_t first, uint32_t overhead) {
    bool fits = batch->aad == nullptr;
    for (size_t i = first; i < first + kTexts; i++) {
      const uint32_t bytes = batch->srcOffsets[i + 1] - batch->srcOffsets[i];
      fits &= bytes - overhead <= 64;  // shorter than the overhead: wraps, and does not fit
    }
    return fits;
  }

  // --- one buffer

  static KL_NOINLINE void sealOne(const GcmKey* key, const uint8_t* nonce, size_t nonceBytes, const uint8_t* aad,
                                  size_t aadBytes, const uint8_t* src, size_t bytes, uint8_t* dst, uint8_t* tag) {
    const __m128i j0 = firstCounter(key, nonce, nonceBytes);
    const __m128i y = absorb(key, _mm_setzero_si128(), aad, aadBytes);
    block::store(tag, tagOf<true>(key, j0, block::encipher(key, j0), y, aadBytes, src, bytes, dst));
  }

  static KL_NOINLINE bool openOne(const GcmKey* key, const uint8_t* nonce, size_t nonceBytes, const uint8_t* aad,
                                  size_t aadBytes, const uint8_t* src, size_t bytes, const uint8_t* tag, uint8_t* dst,
                                  uint8_t* scratch) {
    const __m128i found = block::load(tag);
    const __m128i j0 = firstCounter(key, nonce, nonceBytes);
    const __m128i y = absorb(key, _mm_setzero_si128(), aad, aadBytes);
    uint8_t* out = scratch == nullptr ? dst : scratch;
    const __m128i computed = tagOf<false>(key, j0, block::encipher(key, j0), y, aadBytes, src, bytes, out);
    const bool opened = block::equal(computed, found);
    if (!opened) __builtin_memset(dst, 0, bytes);
    else if (out != dst) copy(dst, out, bytes);
    return opened;
  }

  // --- what leaves this file: each wipes the registers and the stack it used

  static KL_NOINLINE void expandOut(GcmKey* key, const uint8_t* bytes, size_t keyBytes) { expand(key, bytes, keyBytes); }
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
    sealFrames(key, batch);
    wipeTraces<I, kBatchStackBytes>();
  }
  static bool openFramesEntry(const GcmKey* key, const FrameBatch* batch) {
    const bool opened = openFrames(key, batch);
    wipeTraces<I, kBatchStackBytes>();
    return opened;
  }
  static void sealRecordsEntry(const GcmKey* key, const RecordBatch* batch) {
    sealRecords(key, batch);
    wipeTraces<I, kBatchStackBytes>();
  }
  static size_t openRecordsEntry(const GcmKey* key, const RecordBatch* batch) {
    const size_t failed = openRecords(key, batch);
    wipeTraces<I, kBatchStackBytes>();
    return failed;
  }
  static void ctrEntry(const GcmKey* key, const uint8_t nonce[12], const uint8_t* src, size_t bytes, uint8_t* dst) {
    ctrOnly(key, nonce, src, bytes, dst);
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
