// Tells the processor that this thread waits for another.

#ifndef KEYLADDER_ADDON_PAUSE_H_
#define KEYLADDER_ADDON_PAUSE_H_

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace keyladder {

inline void pause() {
#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
  _mm_pause();
#elif defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

}  // namespace keyladder

#endif  // KEYLADDER_ADDON_PAUSE_H_
