// The kernels under test, and a key as the tests hold it: expanded for each of them.

#ifndef KEYLADDER_TEST_NATIVE_KERNELS_H_
#define KEYLADDER_TEST_NATIVE_KERNELS_H_

#include <memory>
#include <vector>

#include "../../native/dispatch/dispatch.h"
#include "../../native/kernels/kernel.h"
#include "check.h"

namespace keyladder::test {

// Those that this CPU can run.
inline const std::vector<const Kernel*>& kernels() {
  static const std::vector<const Kernel*> found = [] {
    std::vector<const Kernel*> can;
    for (size_t i = 0; i < kKernelCount; i++) {
      if (judge(i, cpuFeatures()).can) can.push_back(kKernels[i]);
    }
    return can;
  }();
  return found;
}

constexpr size_t kKeySizes[] = {16, 24, 32};

// One AES key: for the reference, and expanded by every kernel.
class TestKey {
 public:
  explicit TestKey(const Bytes& key) : bytes(key), reference(key), expanded_(new GcmKey[kernels().size()]) {
    Guarded exact(64);
    exact.place(key, kAtEnd);
    for (size_t i = 0; i < kernels().size(); i++) kernels()[i]->expand(&expanded_[i], exact.data(), key.size());
  }
  const GcmKey* of(size_t kernel) const { return &expanded_[kernel]; }

  const Bytes bytes;
  const ReferenceGcm reference;

 private:
  std::unique_ptr<GcmKey[]> expanded_;
};

}  // namespace keyladder::test

#endif  // KEYLADDER_TEST_NATIVE_KERNELS_H_
