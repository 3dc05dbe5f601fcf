// The frames of a message (AWS Encryption SDK, message body): their associated data, nonces and wire form, over `Text`.

#ifndef KEYLADDER_KERNELS_GCM_FRAMES_H_
#define KEYLADDER_KERNELS_GCM_FRAMES_H_

#include "gcm_text.h"

namespace keyladder {
namespace {

template <class I>
struct Frames {
  using V = typename I::V;
  using T = Text<I>;

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
    kind.hash = T::absorb(key, _mm_setzero_si128(), aad, kind.aadBytes);
    const size_t blocks = (kind.aadBytes + 15) / 16;
    kind.power = block::load(T::powersFrom(key, blocks - numberAt / 16));
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
    return _mm_xor_si128(kind.hash, T::multiplyBlock(number, kind.power));
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
    const __m128i tag = T::template tagOf<true>(key, counterOfSequence(sequence), mask, frameHash(kind, sequence), kind.aadBytes,
                                    src, kind.bytes, dst);
    block::store(dst + kind.bytes, tag);
  }

  static KL_NOINLINE void sealFrames(const GcmKey* key, const FrameBatch* batch) {
    const uint8_t* src = batch->src;
    uint8_t* dst = batch->dst;
    uint32_t sequence = batch->firstSequence;
    const FrameKind regular = frameKind(key, batch, false);
    __m128i masks[T::kTexts];
    for (uint32_t i = 0; i < batch->regularFrames; i++, sequence++) {
      if (i % T::kTexts == 0) {
        __m128i j0[T::kTexts];
        KL_UNROLL for (size_t j = 0; j < T::kTexts; j++) j0[j] = counterOfSequence(sequence + static_cast<uint32_t>(j));
        T::tagMasks(key, j0, masks);
      }
      storeWord(dst, sequence);
      block::store(dst + 4, _mm_setzero_si128());
      storeWord(dst + 12, sequence);
      sealFrame(key, regular, sequence, masks[i % T::kTexts], src, dst + kRegularPrefixBytes);
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
    const __m128i tag = T::template tagOf<false>(key, j0, mask, frameHash(kind, sequence), kind.aadBytes, src, kind.bytes, dst);
    return block::equal(tag, found);
  }

  static KL_NOINLINE bool openFrames(const GcmKey* key, const FrameBatch* batch) {
    const uint8_t* src = batch->src;
    uint8_t* dst = batch->dst;
    uint32_t sequence = batch->firstSequence;
    const FrameKind regular = frameKind(key, batch, false);
    const size_t wireBytes = kRegularPrefixBytes + batch->frameBytes + kTagBytes;
    __m128i j0[T::kTexts];
    __m128i masks[T::kTexts];
    bool opened = true;
    for (uint32_t i = 0; i < batch->regularFrames && opened; i++, sequence++) {
      if (i % T::kTexts == 0) {  // the nonces come from the wire, before any plaintext may lie over them
        const size_t left = batch->regularFrames - i;
        for (size_t j = 0; j < T::kTexts; j++) j0[j] = T::counterOf(src + 4 + (j < left ? j : 0) * wireBytes);
        T::tagMasks(key, j0, masks);
      }
      uint8_t* out = batch->scratch == nullptr ? dst : batch->scratch;
      opened = openFrame(key, regular, sequence, j0[i % T::kTexts], masks[i % T::kTexts], src + kRegularPrefixBytes, out);
      if (opened && out != dst) T::copy(dst, out, batch->frameBytes);
      src += wireBytes;
      dst += batch->frameBytes;
    }
    if (opened && batch->hasFinal) {
      const FrameKind last = frameKind(key, batch, true);
      uint8_t* out = batch->scratch == nullptr ? dst : batch->scratch;
      const __m128i first = T::counterOf(src + 8);
      opened = openFrame(key, last, sequence, first, block::encipher(key, first), src + kFinalPrefixBytes, out);
      if (opened && out != dst) T::copy(dst, out, batch->finalBytes);
    }
    if (!opened) {
      const uint64_t all = batch->regularFrames * batch->frameBytes + (batch->hasFinal ? batch->finalBytes : 0);
      __builtin_memset(batch->dst, 0, all);
    }
    return opened;
  }
};

}  // namespace
}  // namespace keyladder

#endif  // KEYLADDER_KERNELS_GCM_FRAMES_H_
