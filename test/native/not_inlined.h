// Included before a kernel that is built to be watched: its parts are functions of their own, its loops stay loops. The
// shipped build is one function of many thousand instructions, which sanitizers take many minutes to compile.

#ifndef KEYLADDER_TEST_NATIVE_NOT_INLINED_H_
#define KEYLADDER_TEST_NATIVE_NOT_INLINED_H_

#include "../../native/kernels/compiler.h"

#undef KL_INLINE
#define KL_INLINE inline
#undef KL_UNROLL
#define KL_UNROLL

#endif  // KEYLADDER_TEST_NATIVE_NOT_INLINED_H_
