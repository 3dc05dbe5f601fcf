// Many records under one key, over `Text`: those of like length side by side, so that the rounds of one fill the waits
// of another.

#ifndef KEYLADDER_KERNELS_GCM_RECORDS_H_
#define KEYLADDER_KERNELS_GCM_RECORDS_H_

#include "gcm_text.h"

namespace keyladder {
namespace {

template <class I>
struct Records {
  using V = typename I::V;
  using T = Text<I>;

  static KL_INLINE size_t recordBytes(const RecordBatch* batch, size_t i) {
    return batch->srcOffsets[i + 1] - batch->srcOffsets[i];
  }

  // A record that is being sealed or opened.
  struct Record {
    const uint8_t* src;
    size_t bytes;  // of plaintext
    __m128i j0;
    __m128i mask;
    const uint8_t* aad;
    size_t aadBytes;
  };

  static KL_INLINE void readAad(const RecordBatch* batch, size_t i, Record* record) {
    record->aad = nullptr;
    record->aadBytes = 0;
    if (batch->aad == nullptr) return;
    record->aad = batch->aad + batch->aadOffsets[i];
    record->aadBytes = batch->aadOffsets[i + 1] - batch->aadOffsets[i];
  }

  static KL_INLINE __m128i aadHash(const GcmKey* key, const Record& record) {
    return T::absorb(key, _mm_setzero_si128(), record.aad, record.aadBytes);
  }

  // Associated data of up to so many bytes is hashed along with a short text, in the same reduction.
  static constexpr size_t kMostAadAlong = 64;

  static KL_INLINE void multiplyAad(const GcmKey* key, const Record& record, typename T::Product* sum) {
    const size_t blocks = (record.aadBytes + 15) / 16 + (record.bytes + 15) / 16 + 1;
    const uint8_t* powers = T::powersFrom(key, blocks);
    for (size_t at = 0; at < record.aadBytes; at += sizeof(V)) {
      const size_t left = record.aadBytes - at;
      const V data = T::loadPartialOnce(record.aad + at, left < sizeof(V) ? left : sizeof(V));
      T::multiply(sum, I::reverse(data), powers + at);
    }
  }

  // R records of N vectors each, R * N at most 8: their rounds, and then their hashes, overlap. Nothing is stored.
  template <bool kSeal, int R, int N>
  static KL_INLINE void cryptTogether(const GcmKey* key, const Record* records, V (&text)[R * N], __m128i (&tags)[R]) {
    V state[R * N];
    KL_UNROLL for (int i = 0; i < R * N; i++) {
      state[i] = I::addWords(I::countLanes(records[i / N].j0), ((i % N) * T::kLanes) << 24);
    }
    T::template encipher<R * N, 0>(key, state, nullptr, nullptr, nullptr);
    KL_UNROLL for (int r = 0; r < R; r++) {
      const Record& record = records[r];
      const size_t tail = record.bytes - (N - 1) * sizeof(V);
      const uint8_t* powers = T::powersFrom(key, (record.bytes + 15) / 16 + 1);
      typename T::Product sum = T::none();
      const bool far = record.aadBytes > kMostAadAlong;
      if (record.aadBytes > 0 && !far) multiplyAad(key, record, &sum);
      KL_UNROLL for (int i = 0; i < N; i++) {
        const uint8_t* src = record.src + i * sizeof(V);
        const V data = i < N - 1 ? T::loadOnce(src) : T::loadPartialOnce(src, tail);
        V& out = text[r * N + i];
        out = I::exclusiveOr(data, state[r * N + i]);
        V sealed = data;
        if (kSeal) sealed = i < N - 1 ? out : I::keepBytes(out, tail);
        sealed = I::reverse(sealed);
        if (i == 0 && far) sealed = I::exclusiveOr(sealed, I::fromBlock(aadHash(key, record)));
        T::multiply(&sum, sealed, powers + i * sizeof(V));
      }
      T::multiply(&sum, I::fromBlock(T::lengthBlock(record.aadBytes, record.bytes)), T::powersFrom(key, 1));
      tags[r] = _mm_xor_si128(record.mask, block::reverse(T::reduce(sum)));
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
    const __m128i tag = T::template tagOf<true>(key, record.j0, record.mask, aadHash(key, record), record.aadBytes,
                                                record.src, record.bytes, dst);
    block::store(dst + record.bytes, tag);
    *at += static_cast<uint32_t>(batch->prefixBytes + kNonceBytes + record.bytes + kTagBytes);
  }

  static KL_NOINLINE void sealRecords(const GcmKey* key, const RecordBatch* batch) {
    const __m128i prefix = block::loadPartial(batch->prefix, batch->prefixBytes);
    uint32_t at = 0;
    for (size_t first = 0; first < batch->count; first += T::kTexts) {
      const size_t now = batch->count - first < T::kTexts ? batch->count - first : T::kTexts;
      if (I::kGroups && now == T::kTexts && groupFits(batch, first, 0)) {
        I::template sealGroup<Records>(key, batch, first, prefix, &at);
        continue;
      }
      __m128i j0[T::kTexts];
      __m128i masks[T::kTexts];
      Record records[T::kTexts];
      for (size_t i = 0; i < T::kTexts; i++) {
        j0[i] = T::counterOf(batch->nonces + (first + (i < now ? i : 0)) * kNonceBytes);
      }
      T::tagMasks(key, j0, masks);
      for (size_t i = 0; i < now; i++) {
        Record& record = records[i];
        record.src = batch->src + batch->srcOffsets[first + i];
        record.bytes = recordBytes(batch, first + i);
        record.j0 = j0[i];
        record.mask = masks[i];
        readAad(batch, first + i, &record);
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
      const __m128i tag = T::template tagOf<false>(key, record.j0, record.mask, aadHash(key, record),
                                                   record.aadBytes, record.src, record.bytes, out);
      if (!block::equal(tag, sealed.tag)) {
        __builtin_memset(out, 0, record.bytes);
        status = kRecordNotAuthentic;
      } else if (out != dst) {
        T::copy(dst, out, record.bytes);
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
    record->j0 = T::counterOf(src + batch->prefixBytes);
    sealed->tag = block::load(record->src + record->bytes);
    const bool known = block::equal(prefix, block::keepFirst(block::load(src), batch->prefixBytes));
    sealed->status = known ? kRecordOpened : kRecordOtherPrefix;
  }

  static KL_NOINLINE size_t openRecords(const GcmKey* key, const RecordBatch* batch) {
    const __m128i prefix = block::loadPartial(batch->prefix, batch->prefixBytes);
    const uint32_t overhead = static_cast<uint32_t>(batch->prefixBytes + kNonceBytes + kTagBytes);
    uint32_t at = 0;
    size_t failed = 0;
    for (size_t first = 0; first < batch->count; first += T::kTexts) {
      const size_t now = batch->count - first < T::kTexts ? batch->count - first : T::kTexts;
      if (I::kGroups && now == T::kTexts && groupFits(batch, first, overhead)) {
        failed += I::template openGroup<Records>(key, batch, first, prefix, &at);
        continue;
      }
      __m128i j0[T::kTexts] = {};
      __m128i masks[T::kTexts];
      Record records[T::kTexts];
      Sealed sealed[T::kTexts];
      bool whole = true;
      for (size_t i = 0; i < now; i++) {
        readSealed(batch, first + i, prefix, &records[i], &sealed[i]);
        j0[i] = records[i].j0;
        whole &= sealed[i].status == kRecordOpened;
      }
      T::tagMasks(key, j0, masks);
      for (size_t i = 0; i < now; i++) {
        records[i].mask = masks[i];
        readAad(batch, first + i, &records[i]);
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
    for (size_t i = first; i < first + T::kTexts; i++) {
      const uint32_t bytes = batch->srcOffsets[i + 1] - batch->srcOffsets[i];
      fits &= bytes - overhead <= 64;  // shorter than the overhead: wraps, and does not fit
    }
    return fits;
  }
};

}  // namespace
}  // namespace keyladder

#endif  // KEYLADDER_KERNELS_GCM_RECORDS_H_
