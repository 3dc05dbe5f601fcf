// Known answers that a kernel must give before it is used (FIPS 140-3 IG 10.3.A calls this the conditional self-test).

#ifndef KEYLADDER_DISPATCH_SELF_TEST_H_
#define KEYLADDER_DISPATCH_SELF_TEST_H_

#include "../kernels/kernel.h"

namespace keyladder {

// Seals and opens with every key size: one buffer, frames, records; wrong tags must fail and leave zeros.
// `flip` turns one bit of what is expected: the test must fail then.
// Returns what failed, null where nothing did.
const char* selfTest(const Kernel& kernel, bool flip);

}  // namespace keyladder

#endif  // KEYLADDER_DISPATCH_SELF_TEST_H_
