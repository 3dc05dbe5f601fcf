#include "cpu.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#define KEYLADDER_CPUID 1
#endif

namespace keyladder {

namespace {

constexpr const char* kNames[kCpuFeatureCount] = {
    "sse2",      "ssse3",   "sse4.1",   "pclmulqdq", "aes",       "avx",       "avx2",        "vaes",   "vpclmulqdq",
    "avx512f", "avx512dq", "avx512bw", "avx512vl",  "avx512vbmi", "bmi2", "sha", "os-ymm", "os-zmm",
};

#if KEYLADDER_CPUID

// XCR0 says which registers the operating system saves on a switch of threads. Only where CPUID says OSXSAVE.
uint64_t savedState() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

constexpr uint64_t kYmmState = 0x6;   // xmm, ymm
constexpr uint64_t kZmmState = 0xe6;  // and masks, upper halves of zmm0-15, zmm16-31

CpuFeatures detect() {
  CpuFeatures found = 0;
  const auto add = [&found](CpuFeature feature, uint32_t word, int bit) {
    if ((word >> bit) & 1) found |= CpuFeatures{1} << feature;
  };
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  add(kCpuSse2, d, 26);
  add(kCpuSsse3, c, 9);
  add(kCpuSse41, c, 19);
  add(kCpuPclmul, c, 1);
  add(kCpuAes, c, 25);
  add(kCpuAvx, c, 28);
  const bool osxsave = (c >> 27) & 1;
  const uint64_t saved = osxsave ? savedState() : 0;
  add(kCpuOsYmm, (saved & kYmmState) == kYmmState, 0);
  add(kCpuOsZmm, (saved & kZmmState) == kZmmState, 0);
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    add(kCpuAvx2, b, 5);
    add(kCpuBmi2, b, 8);
    add(kCpuAvx512f, b, 16);
    add(kCpuAvx512dq, b, 17);
    add(kCpuShaNi, b, 29);
    add(kCpuAvx512bw, b, 30);
    add(kCpuAvx512vl, b, 31);
    add(kCpuAvx512vbmi, c, 1);
    add(kCpuVaes, c, 9);
    add(kCpuVpclmul, c, 10);
  }
  return found;
}

#else

CpuFeatures detect() { return 0; }

#endif

}  // namespace

CpuFeatures cpuFeatures() {
  static const CpuFeatures found = detect();
  return found;
}

const char* cpuFeatureName(size_t feature) { return feature < kCpuFeatureCount ? kNames[feature] : ""; }

}  // namespace keyladder
