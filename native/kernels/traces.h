// Overwriting what a function that has just returned left on the stack and in registers.

#ifndef KEYLADDER_KERNELS_TRACES_H_
#define KEYLADDER_KERNELS_TRACES_H_

#include "compiler.h"
#include "wipe.h"

namespace keyladder {

// Overwrites the stack below the caller. Neither alignment nor a canary may keep the array away from the caller's frame:
// what lies between them would stay.
template <size_t kBytes>
KL_NOINLINE KL_NO_CANARY void wipeStackBelow() {
  alignas(16) uint8_t stack[kBytes];
  wipe(stack, sizeof stack);
}

// Zeros in the registers that a call need not preserve: the C library moves the last bytes of a copy through them.
inline void clearGeneralRegisters() {
#if defined(KEYLADDER_X86_KERNELS)
  __asm__ volatile(
      "xorl %%ecx, %%ecx\n\txorl %%edx, %%edx\n\txorl %%esi, %%esi\n\txorl %%edi, %%edi\n\t"
      "xorl %%r8d, %%r8d\n\txorl %%r9d, %%r9d\n\txorl %%r10d, %%r10d\n\txorl %%r11d, %%r11d"
      : : : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc");
#endif
}

// Zeros in all vector registers this CPU has, whichever of them the compiler and the C library used.
void clearVectorRegisters();

}  // namespace keyladder

#endif  // KEYLADDER_KERNELS_TRACES_H_
