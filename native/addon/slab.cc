#include "slab.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#endif

namespace keyladder {

namespace {

constexpr size_t kCommitBytes = 64 * 1024;

#if defined(_WIN32)

size_t pageBytes() {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return info.dwPageSize;
}
uint8_t* map(size_t bytes) {
  return static_cast<uint8_t*>(VirtualAlloc(nullptr, bytes, MEM_RESERVE, PAGE_NOACCESS));
}
bool makeUsable(uint8_t* at, size_t bytes) { return VirtualAlloc(at, bytes, MEM_COMMIT, PAGE_READWRITE) != nullptr; }
const char* lock(uint8_t* at, size_t bytes) {
  return VirtualLock(at, bytes) ? nullptr : "VirtualLock refused: the working set is too small";
}
const char* keepFromDumps(uint8_t*, size_t) { return "Windows writes locked memory into full dumps"; }
const char* wipeOnFork(uint8_t*, size_t) { return nullptr; }  // there is no fork

#else

size_t pageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

uint8_t* map(size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANON, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<uint8_t*>(at);
}

bool makeUsable(uint8_t* at, size_t bytes) { return mprotect(at, bytes, PROT_READ | PROT_WRITE) == 0; }

const char* lock(uint8_t* at, size_t bytes) {
  if (mlock(at, bytes) == 0) return nullptr;
  if (errno == EPERM) return "mlock: not permitted (RLIMIT_MEMLOCK is 0)";
  return "mlock: the limit on locked memory is reached (RLIMIT_MEMLOCK)";
}

const char* keepFromDumps([[maybe_unused]] uint8_t* at, [[maybe_unused]] size_t bytes) {
#if defined(MADV_DONTDUMP)
  return madvise(at, bytes, MADV_DONTDUMP) == 0 ? nullptr : "madvise: MADV_DONTDUMP refused";
#else
  return "this system cannot keep memory out of core dumps";
#endif
}

const char* wipeOnFork([[maybe_unused]] uint8_t* at, [[maybe_unused]] size_t bytes) {
#if defined(MADV_WIPEONFORK)
  return madvise(at, bytes, MADV_WIPEONFORK) == 0 ? nullptr : "madvise: MADV_WIPEONFORK refused";
#else
  return "this system cannot wipe memory on fork";
#endif
}

#endif

size_t roundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

bool Slab::reserve(size_t firstBytes, size_t secondBytes) {
  const size_t page = pageBytes();
  const size_t sizes[] = {roundUp(firstBytes, page), roundUp(secondBytes, page)};
  const size_t bytes = sizes[0] + sizes[1] + 3 * page;
  uint8_t* begin = map(bytes);
  if (begin == nullptr) return false;
  facts_.reservedBytes = bytes;
  facts_.dumpRefused = keepFromDumps(begin, bytes);
  facts_.forkRefused = wipeOnFork(begin, bytes);
  areas_[0] = {begin + page, sizes[0], 0};
  areas_[1] = {begin + page + sizes[0] + page, sizes[1], 0};
  return true;
}

bool Slab::commit(size_t index, size_t bytes) {
  const std::lock_guard<std::mutex> hold(lock_);
  SlabArea& area = areas_[index];
  if (bytes <= area.committedBytes) return true;
  if (bytes > area.bytes) return false;
  size_t more = roundUp(bytes - area.committedBytes, roundUp(kCommitBytes, pageBytes()));
  if (more > area.bytes - area.committedBytes) more = area.bytes - area.committedBytes;
  uint8_t* at = area.begin + area.committedBytes;
  if (!makeUsable(at, more)) return false;
  const char* refused = lock(at, more);
  if (refused == nullptr) facts_.lockedBytes += more;
  else facts_.lockRefused = refused;
  area.committedBytes += more;
  facts_.committedBytes += more;
  return true;
}

SlabFacts Slab::facts() {
  const std::lock_guard<std::mutex> hold(lock_);
  return facts_;
}

}  // namespace keyladder
