#include "hkdf.h"

#include <cstring>

#include "traces.h"

namespace keyladder {
namespace {

// More stack than the functions below hkdf() use.
constexpr size_t kStackBytes = 2048;

KL_NOINLINE void derive(HashKind hash, const uint8_t* ikm, size_t ikmBytes, const uint8_t* salt, size_t saltBytes,
            const HkdfOutput* outputs, size_t count, Sha512Block sha512) {
  static const uint8_t kFirst[1] = {1};
  HmacKey key;
  uint8_t block[kMaxHashBytes];
  hmacStart(&key, hash, salt, saltBytes, sha512);
  hmac(&key, ikm, ikmBytes, nullptr, 0, block);
  hmacStart(&key, hash, block, hashBytes(hash), sha512);
  for (size_t i = 0; i < count; i++) {
    hmac(&key, outputs[i].info, outputs[i].infoBytes, kFirst, sizeof kFirst, block);
    std::memcpy(outputs[i].out, block, outputs[i].bytes);
  }
  wipe(&key, sizeof key);
  wipe(block, sizeof block);
}

}  // namespace

void hkdf(HashKind hash, const uint8_t* ikm, size_t ikmBytes, const uint8_t* salt, size_t saltBytes,
          const HkdfOutput* outputs, size_t count, Sha512Block sha512) {
  derive(hash, ikm, ikmBytes, salt, saltBytes, outputs, count, sha512);
  wipeStackBelow<kStackBytes>();
  clearVectorRegisters();
  clearGeneralRegisters();
}

}  // namespace keyladder
