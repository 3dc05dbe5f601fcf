// What the program of native tests runs, in this order.

#ifndef KEYLADDER_TEST_NATIVE_SUITES_H_
#define KEYLADDER_TEST_NATIVE_SUITES_H_

#include "check.h"
#include "kernels.h"

namespace keyladder::test {

void checkKnownAnswers();
void checkOneShot();
void checkCounters();
void checkFrames();
void checkRecords();
void checkHashes();

}  // namespace keyladder::test

#endif  // KEYLADDER_TEST_NATIVE_SUITES_H_
