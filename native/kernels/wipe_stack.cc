#include "compiler.h"

#if defined(KEYLADDER_X86_KERNELS)
namespace keyladder {

KL_NOINLINE void wipeStack() {
  alignas(64) uint8_t stack[kStackBytes];
  __builtin_memset(stack, 0, sizeof stack);
  __asm__ volatile("" : : "r"(stack) : "memory");
}

}  // namespace keyladder
#endif
