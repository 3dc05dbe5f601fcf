// What this CPU can do, and what the operating system lets it: CPUID and XGETBV (Intel SDM volume 1, 13 and 14).

#ifndef KEYLADDER_DISPATCH_CPU_H_
#define KEYLADDER_DISPATCH_CPU_H_

#include <cstddef>
#include <cstdint>

namespace keyladder {

// Bit positions in `CpuFeatures`.
enum CpuFeature : uint32_t {
  kCpuSse2,
  kCpuSsse3,
  kCpuSse41,
  kCpuPclmul,
  kCpuAes,
  kCpuAvx,
  kCpuAvx2,
  kCpuVaes,
  kCpuVpclmul,
  kCpuAvx512f,
  kCpuAvx512dq,
  kCpuAvx512bw,
  kCpuAvx512vl,
  kCpuAvx512vbmi,
  kCpuBmi2,
  kCpuShaNi,
  kCpuOsYmm,  // the operating system saves the ymm registers
  kCpuOsZmm,  // and the zmm and mask registers
  kCpuFeatureCount,
};

using CpuFeatures = uint32_t;

// One bit a feature. Vector features count only together with their `kOs` bit; callers look at both.
CpuFeatures cpuFeatures();

// As people write it: "avx512f".
const char* cpuFeatureName(size_t feature);

}  // namespace keyladder

#endif  // KEYLADDER_DISPATCH_CPU_H_
