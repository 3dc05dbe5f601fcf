// Output in large pages: memory that the system has only promised costs a fault for each page that is written first.

#ifndef KEYLADDER_ADDON_HUGE_PAGES_H_
#define KEYLADDER_ADDON_HUGE_PAGES_H_

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace keyladder {

// Asks for them where that can pay. Advice only: memory that is there already stays as it is, a refusal changes nothing.
inline void adviseHugePages(const uint8_t* memory, uint64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t kHuge = uintptr_t{2} << 20;
  if (bytes < 2 * kHuge) return;
  const auto begin = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t first = (begin + kHuge - 1) & ~(kHuge - 1), end = (begin + bytes) & ~(kHuge - 1);
  if (first < end) (void)madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#else
  (void)memory;
  (void)bytes;
#endif
}

}  // namespace keyladder

#endif  // KEYLADDER_ADDON_HUGE_PAGES_H_
