// What the kernels need of a compiler: GCC or Clang on x86-64. Elsewhere this says so and no kernel is built.

#ifndef KEYLADDER_KERNELS_COMPILER_H_
#define KEYLADDER_KERNELS_COMPILER_H_

#include <cstddef>
#include <cstdint>

#if defined(_MSC_VER) && !defined(__clang__)
#define KL_NOINLINE __declspec(noinline)
#else
#define KL_NOINLINE __attribute__((noinline))
#endif

// Without -fstack-protector's word between a function's arrays and its caller's frame.
#if defined(__has_attribute)
#if __has_attribute(no_stack_protector)
#define KL_NO_CANARY __attribute__((no_stack_protector))
#endif
#endif
#if !defined(KL_NO_CANARY)
#define KL_NO_CANARY
#endif

#if defined(__clang__)
#define KL_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define KL_UNROLL _Pragma("GCC unroll 16")
#else
#define KL_UNROLL
#endif

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define KEYLADDER_X86_KERNELS 1
#include <immintrin.h>
#if !defined(__clang__)
// GCC's own intrinsics headers start from a register "initialised" with itself: a false alarm at each use.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define KL_INLINE inline __attribute__((always_inline))

// From here on `value`, a vector, is what was loaded: the compiler may not load it from memory a second time. Where other
// threads write there, the hash and the cipher would see different bytes, and a tag would cover what nobody enciphered.
#if !defined(KL_ONCE)
#define KL_ONCE(value) __asm__("" : "+v"(value))
#endif

// A verdict over secrets that code may branch on from here. The constant-time test, which marks secrets, has its own.
#if !defined(KL_DECLASSIFY)
#define KL_DECLASSIFY(verdict) (verdict)
#endif

#endif

#endif  // KEYLADDER_KERNELS_COMPILER_H_
