// What the kernels are compiled with when secrets are marked: a verdict may be branched on, nothing else.

#ifndef KEYLADDER_TEST_NATIVE_DECLASSIFY_H_
#define KEYLADDER_TEST_NATIVE_DECLASSIFY_H_

#include <valgrind/memcheck.h>

namespace keyladder::test {
inline bool declassified(bool verdict) {
  (void)VALGRIND_MAKE_MEM_DEFINED(&verdict, sizeof verdict);
  return verdict;
}
}  // namespace keyladder::test

#define KL_DECLASSIFY(verdict) ::keyladder::test::declassified(verdict)

#endif  // KEYLADDER_TEST_NATIVE_DECLASSIFY_H_
