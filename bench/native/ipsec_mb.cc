// Intel's Multi-Buffer Crypto for IPsec: its direct AES-GCM calls.

#include "contender.h"

#if defined(WITH_IPSEC_MB)
#include <intel-ipsec-mb.h>

#include <stdexcept>
#endif

namespace bench {

#if defined(WITH_IPSEC_MB)
namespace {

class IpsecMb final : public OneAtATime<IpsecMb> {
 public:
  explicit IpsecMb(const uint8_t* key) : OneAtATime("ipsec-mb"), manager_(alloc_mb_mgr(0)) {
    if (manager_ == nullptr) throw std::runtime_error("ipsec-mb gave no manager");
    IMB_ARCH arch;
    init_mb_mgr_auto(manager_, &arch);
    IMB_AES256_GCM_PRE(manager_, key, &key_);
  }
  ~IpsecMb() override { free_mb_mgr(manager_); }

  void sealOne(const uint8_t* nonce, const uint8_t* aad, size_t aadBytes, const uint8_t* src, size_t bytes,
               uint8_t* dst) {
    IMB_AES256_GCM_ENC(manager_, &key_, &context_, dst, src, bytes, nonce, aad == nullptr ? kNoAad : aad, aadBytes,
                       dst + bytes, kTagBytes);
  }

  bool openOne(const uint8_t* nonce, const uint8_t* aad, size_t aadBytes, const uint8_t* src, size_t bytes,
               uint8_t* dst) {
    uint8_t tag[kTagBytes];
    IMB_AES256_GCM_DEC(manager_, &key_, &context_, dst, src, bytes, nonce, aad == nullptr ? kNoAad : aad, aadBytes, tag,
                       kTagBytes);
    uint8_t difference = 0;
    for (size_t i = 0; i < kTagBytes; i++) difference |= static_cast<uint8_t>(tag[i] ^ src[bytes + i]);
    return difference == 0;
  }

 private:
  static constexpr uint8_t kNoAad[1] = {};
  IMB_MGR* manager_;
  alignas(64) gcm_key_data key_;
  alignas(64) gcm_context_data context_;
};

}  // namespace

void addIpsecMb(Contenders& all, const uint8_t key[kKeyBytes]) { all.push_back(std::make_unique<IpsecMb>(key)); }
#else
void addIpsecMb(Contenders&, const uint8_t*) {}
#endif

}  // namespace bench
