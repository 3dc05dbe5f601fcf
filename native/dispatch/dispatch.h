// Which kernels this build has, which of them this CPU can run, which it should, and whether they answer rightly.

#ifndef KEYLADDER_DISPATCH_DISPATCH_H_
#define KEYLADDER_DISPATCH_DISPATCH_H_

#include <string>

#include "../kernels/kernel.h"
#include "cpu.h"

namespace keyladder {

// Fastest first. A kernel's place here is its number everywhere.
extern const Kernel* const kKernels[];
extern const size_t kKernelCount;

struct Verdict {
  bool can;         // the CPU has the instructions, the operating system saves their registers
  bool should;      // and it pays
  std::string why;  // in words
};

// A pure function of the features, so that other machines can be imagined.
Verdict judge(size_t kernel, CpuFeatures features);

// The self-test of a kernel that can run here: once, at the first question. Null where it passed, else what failed.
const char* selfTestFailure(size_t kernel);

// Whether keys may be made for it: it can run and passed. Cheap after the first question.
bool isReady(size_t kernel);

// Tests only: the next question runs the self-test again; with `fail`, against a flipped bit.
void resetSelfTest(size_t kernel, bool fail);

}  // namespace keyladder

#endif  // KEYLADDER_DISPATCH_DISPATCH_H_
