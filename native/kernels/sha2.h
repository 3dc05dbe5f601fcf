// SHA-2 (FIPS 180-4) and HMAC (FIPS 198-1) for keys: short inputs, everything secret. Portable; constant time in the
// data; a context holds secrets and is wiped by whoever made it.

#ifndef KEYLADDER_KERNELS_SHA2_H_
#define KEYLADDER_KERNELS_SHA2_H_

#include <cstddef>
#include <cstdint>

namespace keyladder {

enum class HashKind { kSha256, kSha384, kSha512 };

constexpr size_t kMaxHashBytes = 64;

// 32, 48 or 64.
size_t hashBytes(HashKind kind);

// The constants of the rounds (FIPS 180-4 4.2.3).
extern const uint64_t kSha512Round[80];

// Compresses one block of 128 bytes into a state of eight words. SHA-384's is the same.
using Sha512Block = void (*)(uint64_t* state, const uint8_t* data);

// AVX-512F and VL, BMI2.
void sha512BlockAvx512(uint64_t* state, const uint8_t* data);

// The state between two blocks, and the bytes of the next one.
struct HashContext {
  HashKind kind;
  Sha512Block sha512;  // null: the portable one
  uint64_t state[8];  // SHA-256: the lower halves
  uint8_t block[128];
  size_t held;
  uint64_t bytes;
};

void hashStart(HashContext* context, HashKind kind, Sha512Block sha512 = nullptr);
void hashUpdate(HashContext* context, const uint8_t* data, size_t bytes);
// Writes hashBytes(kind).
void hashFinal(HashContext* context, uint8_t* digest);

// A key made ready: the states behind its inner and its outer pad.
struct HmacKey {
  HashContext inner;
  HashContext outer;
};

void hmacStart(HmacKey* key, HashKind kind, const uint8_t* bytes, size_t keyBytes, Sha512Block sha512 = nullptr);
// HMAC of `data` followed by `more`. Writes hashBytes(kind).
void hmac(const HmacKey* key, const uint8_t* data, size_t bytes, const uint8_t* more, size_t moreBytes, uint8_t* mac);

}  // namespace keyladder

#endif  // KEYLADDER_KERNELS_SHA2_H_
