// What every kernel offers: AES-GCM (SP 800-38D) over one buffer, over the frames of a message, over many records.
//
// One table per instruction set, all with the same signatures; dispatch/ chooses. Nothing here allocates, locks or
// knows of N-API. Every function is constant time in keys and data: it branches and indexes on lengths only.
// Thread-safe: a GcmKey is read-only once `expand` returned.
//
// Buffers: `dst` is `src` itself or disjoint from it, unless a function says otherwise. Each byte of `src` is loaded
// once, and what was stored is never read again: memory that other threads write gives wrong results, never a tag over
// bytes that were not enciphered, nor a plaintext byte that no tag covers.
// On a failed tag the output is zero before the call returns.

#ifndef KEYLADDER_KERNELS_KERNEL_H_
#define KEYLADDER_KERNELS_KERNEL_H_

#include <cstddef>
#include <cstdint>

namespace keyladder {

constexpr size_t kBlockBytes = 16;
constexpr size_t kTagBytes = 16;
constexpr size_t kNonceBytes = 12;
// SP 800-38D 5.2.1.1: 2^39 - 256 bits of plaintext under one nonce.
constexpr uint64_t kMaxPlaintextBytes = (uint64_t{1} << 36) - 32;

// Powers of H that a key keeps: 32 blocks a batch, one more for the length block, rounded up to whole vectors.
constexpr size_t kPowers = 36;

// A key ready for use. Secret in all its bytes: it lives in the guarded slab or on a stack that is wiped.
struct alignas(64) GcmKey {
  uint8_t powers[kPowers + 4][kBlockBytes];  // of H times x, reversed, the highest first; zeros behind them
  uint8_t sums[kPowers + 4][kBlockBytes];    // in both halves the sum of a power's halves (Karatsuba)
  uint8_t roundKeys[15][kBlockBytes];
  uint32_t rounds;  // 10, 12 or 14; 0 = no key
  uint32_t keyBytes;
};

// The frames of one batch, in the wire form of the AWS Encryption SDK (message body, framed).
struct FrameBatch {
  const uint8_t* messageId;
  size_t messageIdBytes;    // 16 or 32
  uint64_t frameBytes;      // plaintext bytes of a regular frame, from 1
  uint32_t firstSequence;   // from 1
  uint32_t regularFrames;
  bool hasFinal;
  uint64_t finalBytes;      // plaintext bytes of the final frame, 0 to frameBytes
  const uint8_t* src;
  uint8_t* dst;
  uint8_t* scratch;         // frameBytes long where `dst` may be seen by other threads, else null: open, then copy
};

enum RecordStatus : uint8_t { kRecordOpened = 0, kRecordNotAuthentic = 1, kRecordOtherPrefix = 2, kRecordTooShort = 3 };

// Many records under one key. A sealed record: prefix | nonce 12 | ciphertext | tag 16.
struct RecordBatch {
  size_t count;
  const uint8_t* prefix;
  size_t prefixBytes;            // 0 to 16
  const uint8_t* nonces;         // 12 a record; sealing only
  const uint8_t* src;            // values
  const uint32_t* srcOffsets;    // count + 1, ascending; checked by the caller, who copied them
  const uint8_t* aad;            // null: none
  const uint32_t* aadOffsets;    // count + 1, ascending
  uint8_t* dst;                  // disjoint from src
  uint32_t* dstOffsets;          // count + 1; written; the first is 0
  uint8_t* status;               // count; opening only
  uint8_t* scratch;              // as long as the longest plaintext where `dst` is shared, else null; opening only
};

struct Kernel {
  const char* name;  // "avx512", "avx2", "aesni"

  // Key schedule and powers of H. `keyBytes` is 16, 24 or 32.
  void (*expand)(GcmKey* key, const uint8_t* bytes, size_t keyBytes);

  // One block under the key: for known answers and derivations. dst may be src.
  void (*block)(const GcmKey* key, const uint8_t src[16], uint8_t dst[16]);

  // `nonceBytes` from 1; other lengths than 12 go by way of GHASH. `tag` is 16 bytes.
  void (*seal)(const GcmKey* key, const uint8_t* nonce, size_t nonceBytes, const uint8_t* aad, size_t aadBytes,
               const uint8_t* src, size_t bytes, uint8_t* dst, uint8_t* tag);
  // False where the tag does not verify; `dst` is zero then. `scratch` as in FrameBatch, `bytes` long.
  bool (*open)(const GcmKey* key, const uint8_t* nonce, size_t nonceBytes, const uint8_t* aad, size_t aadBytes,
               const uint8_t* src, size_t bytes, const uint8_t* tag, uint8_t* dst, uint8_t* scratch);

  // `dst` and `src` are disjoint.
  void (*sealFrames)(const GcmKey* key, const FrameBatch* batch);
  // `dst` may lie in the memory of `src` if it starts no later. False: some tag does not verify, and all of dst is zero.
  bool (*openFrames)(const GcmKey* key, const FrameBatch* batch);

  void (*sealRecords)(const GcmKey* key, const RecordBatch* batch);
  // How many did not open; those are left empty in dst, and `status` says why.
  size_t (*openRecords)(const GcmKey* key, const RecordBatch* batch);

  // AES-CTR alone, from counter block `nonce | 2`: the yardstick of the benchmarks.
  void (*ctr)(const GcmKey* key, const uint8_t nonce[12], const uint8_t* src, size_t bytes, uint8_t* dst);

  // One block of SHA-512 (sha2.h); null: the portable one serves.
  void (*sha512)(uint64_t* state, const uint8_t* data);
};

extern const Kernel kAvx512;
extern const Kernel kAvx2;
extern const Kernel kAesni;

}  // namespace keyladder

#endif  // KEYLADDER_KERNELS_KERNEL_H_
