// Every kernel this CPU can run against the reference.

#include "suites.h"

int main() {
  using namespace keyladder::test;
  std::printf("kernels:");
  for (const keyladder::Kernel* kernel : kernels()) std::printf(" %s", kernel->name);
  std::printf("%s, SEED=%llu\n", kernels().empty() ? " none on this CPU" : "",
              static_cast<unsigned long long>(Random::seed()));
  for (size_t i = 0; i < keyladder::kKernelCount; i++) {
    const keyladder::Verdict verdict = keyladder::judge(i, keyladder::cpuFeatures());
    if (!verdict.can) std::printf("  SKIPPED %s: %s\n", keyladder::kKernels[i]->name, verdict.why.c_str());
  }
  checkKnownAnswers();
  checkOneShot();
  checkCounters();
  checkFrames();
  checkRecords();
  checkHashes();
  std::printf("all hold\n");
}
