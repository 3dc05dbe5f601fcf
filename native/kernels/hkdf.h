// HKDF (RFC 5869), as the message format derives its keys. Portable; constant time in keys.

#ifndef KEYLADDER_KERNELS_HKDF_H_
#define KEYLADDER_KERNELS_HKDF_H_

#include "sha2.h"

namespace keyladder {

struct HkdfOutput {
  const uint8_t* info;
  size_t infoBytes;
  uint8_t* out;
  size_t bytes;  // at most hashBytes(hash): one step of the expansion
};

// Extracts once, expands for each output. All secrets but the outputs are wiped. `sha512`: what the CPU has, or null.
void hkdf(HashKind hash, const uint8_t* ikm, size_t ikmBytes, const uint8_t* salt, size_t saltBytes,
          const HkdfOutput* outputs, size_t count, Sha512Block sha512 = nullptr);

}  // namespace keyladder

#endif  // KEYLADDER_KERNELS_HKDF_H_
