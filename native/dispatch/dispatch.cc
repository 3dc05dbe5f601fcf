#include "dispatch.h"

#include <atomic>
#include <mutex>

#include "../kernels/compiler.h"
#include "self_test.h"

namespace keyladder {

namespace {

constexpr CpuFeatures bits() { return 0; }
template <typename... Rest>
constexpr CpuFeatures bits(CpuFeature first, Rest... rest) {
  return (CpuFeatures{1} << first) | bits(rest...);
}

constexpr CpuFeatures kBaseline = bits(kCpuSse2, kCpuSsse3, kCpuSse41, kCpuPclmul, kCpuAes);
constexpr CpuFeatures kWide = kBaseline | bits(kCpuAvx, kCpuAvx2, kCpuBmi2, kCpuVaes, kCpuVpclmul, kCpuOsYmm);

struct Requirements {
  CpuFeatures can;
  CpuFeatures should;
  const char* unless;  // why not, where `can` holds and `should` does not
};

#if defined(KEYLADDER_X86_KERNELS)
constexpr Requirements kRequirements[] = {
    {kWide | bits(kCpuAvx512f, kCpuAvx512dq, kCpuAvx512bw, kCpuAvx512vl, kCpuOsZmm), 0, ""},
    {kWide, 0, ""},
    // Before AVX (2011) a carry-less product took a dozen cycles: what OpenSSL does there is as good.
    {kBaseline, bits(kCpuAvx), "carry-less products are slow on CPUs from before AVX"},
};
#else
constexpr Requirements kRequirements[] = {{0, 0, ""}};
#endif

enum State : int { kUntested, kPassed, kFailed };

struct Tested {
  std::atomic<int> state{kUntested};
  std::atomic<bool> flip{false};
  const char* failure = nullptr;  // written before `state`
};

Tested tested[4];
std::mutex testing;

std::string namesOf(CpuFeatures features) {
  std::string names;
  for (size_t i = 0; i < kCpuFeatureCount; i++) {
    if ((features >> i) & 1) names += (names.empty() ? "" : ", ") + std::string(cpuFeatureName(i));
  }
  return names;
}

}  // namespace

#if defined(KEYLADDER_X86_KERNELS)
const Kernel* const kKernels[] = {&kAvx512, &kAvx2, &kAesni};
const size_t kKernelCount = 3;
#else
const Kernel* const kKernels[] = {nullptr};
const size_t kKernelCount = 0;
#endif

Verdict judge(size_t kernel, CpuFeatures features) {
  const Requirements& needs = kRequirements[kernel];
  const CpuFeatures missing = needs.can & ~features;
  if (missing != 0) return {false, false, "this machine lacks " + namesOf(missing)};
  if ((needs.should & ~features) != 0) return {true, false, needs.unless};
  return {true, true, "this machine has " + namesOf(needs.can & ~bits(kCpuSse2, kCpuSsse3))};
}

const char* selfTestFailure(size_t kernel) {
  Tested& entry = tested[kernel];
  if (entry.state.load(std::memory_order_acquire) == kUntested) {
    const std::lock_guard<std::mutex> lock(testing);
    if (entry.state.load(std::memory_order_relaxed) == kUntested) {
      entry.failure = selfTest(*kKernels[kernel], entry.flip.load());
      entry.state.store(entry.failure == nullptr ? kPassed : kFailed, std::memory_order_release);
    }
  }
  return entry.state.load(std::memory_order_acquire) == kPassed ? nullptr : entry.failure;
}

bool isReady(size_t kernel) {
  if (kernel >= kKernelCount) return false;
  const int state = tested[kernel].state.load(std::memory_order_acquire);
  if (state != kUntested) return state == kPassed;
  return judge(kernel, cpuFeatures()).can && selfTestFailure(kernel) == nullptr;
}

void resetSelfTest(size_t kernel, bool fail) {
  const std::lock_guard<std::mutex> lock(testing);
  tested[kernel].flip = fail;
  tested[kernel].state.store(kUntested, std::memory_order_release);
}

}  // namespace keyladder
