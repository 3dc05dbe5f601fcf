// OpenSSL's EVP: one context kept, a nonce set for each call.

#include "contender.h"

#if defined(WITH_OPENSSL)
#include <openssl/evp.h>

#include <stdexcept>
#endif

namespace bench {

#if defined(WITH_OPENSSL)
namespace {

void must(int result) {
  if (result != 1) throw std::runtime_error("EVP refused a call");
}

class Evp final : public OneAtATime<Evp> {
 public:
  explicit Evp(const uint8_t* key) : OneAtATime("evp"), sealing_(EVP_CIPHER_CTX_new()), opening_(EVP_CIPHER_CTX_new()) {
    must(EVP_EncryptInit_ex(sealing_, EVP_aes_256_gcm(), nullptr, key, nullptr));
    must(EVP_DecryptInit_ex(opening_, EVP_aes_256_gcm(), nullptr, key, nullptr));
  }
  ~Evp() override {
    EVP_CIPHER_CTX_free(sealing_);
    EVP_CIPHER_CTX_free(opening_);
  }

  void sealOne(const uint8_t* nonce, const uint8_t* aad, size_t aadBytes, const uint8_t* src, size_t bytes,
               uint8_t* dst) {
    int written = 0;
    must(EVP_EncryptInit_ex(sealing_, nullptr, nullptr, nullptr, nonce));
    if (aadBytes > 0) must(EVP_EncryptUpdate(sealing_, nullptr, &written, aad, static_cast<int>(aadBytes)));
    must(EVP_EncryptUpdate(sealing_, dst, &written, src, static_cast<int>(bytes)));
    must(EVP_EncryptFinal_ex(sealing_, dst + written, &written));
    must(EVP_CIPHER_CTX_ctrl(sealing_, EVP_CTRL_AEAD_GET_TAG, kTagBytes, dst + bytes));
  }

  bool openOne(const uint8_t* nonce, const uint8_t* aad, size_t aadBytes, const uint8_t* src, size_t bytes,
               uint8_t* dst) {
    int written = 0;
    must(EVP_DecryptInit_ex(opening_, nullptr, nullptr, nullptr, nonce));
    if (aadBytes > 0) must(EVP_DecryptUpdate(opening_, nullptr, &written, aad, static_cast<int>(aadBytes)));
    must(EVP_DecryptUpdate(opening_, dst, &written, src, static_cast<int>(bytes)));
    must(EVP_CIPHER_CTX_ctrl(opening_, EVP_CTRL_AEAD_SET_TAG, kTagBytes, const_cast<uint8_t*>(src + bytes)));
    return EVP_DecryptFinal_ex(opening_, dst + written, &written) == 1;
  }

 private:
  EVP_CIPHER_CTX* sealing_;
  EVP_CIPHER_CTX* opening_;
};

}  // namespace

void addEvp(Contenders& all, const uint8_t key[kKeyBytes]) { all.push_back(std::make_unique<Evp>(key)); }
#else
void addEvp(Contenders&, const uint8_t*) {}
#endif

}  // namespace bench
