// A harness in one header: checks that say what they were checking, repeatable random values, buffers between guard pages.

#ifndef KEYLADDER_TEST_NATIVE_CHECK_H_
#define KEYLADDER_TEST_NATIVE_CHECK_H_

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "reference.h"

namespace keyladder::test {

// What is being checked; printed with a failure. One a thread.
inline thread_local char subject[256];

__attribute__((format(printf, 1, 2))) inline void describe(const char* format, ...) {
  va_list values;
  va_start(values, format);
  std::vsnprintf(subject, sizeof subject, format, values);
  va_end(values);
}

[[noreturn]] inline void fail(const char* file, int line, const char* what) {
  std::fprintf(stderr, "%s:%d: %s\n  with %s\n", file, line, what, subject[0] == 0 ? "nothing described" : subject);
  std::exit(1);
}

#define CHECK(condition) \
  do { \
    if (!(condition)) ::keyladder::test::fail(__FILE__, __LINE__, #condition); \
  } while (0)

// How much to try: KEYLADDER_NATIVE_EFFORT divides it, for builds that are slow because they watch themselves.
inline size_t effort(size_t cases) {
  static const char* text = std::getenv("KEYLADDER_NATIVE_EFFORT");
  static const size_t divisor = text == nullptr ? 1 : static_cast<size_t>(std::atoi(text));
  return cases / (divisor == 0 ? 1 : divisor) + 1;
}

// The same values every run, unless SEED says otherwise (Steele, Lea and Flood, "Fast splittable pseudorandom number
// generators").
class Random {
 public:
  explicit Random(uint64_t stream = 0) : state_(seed() + stream * 0x632BE59BD9B4E019ULL) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
    return z ^ z >> 31;
  }
  size_t below(size_t bound) { return static_cast<size_t>(next() % bound); }
  bool oneIn(size_t n) { return below(n) == 0; }
  Bytes bytes(size_t count) {
    Bytes out(count);
    fill(out.data(), count);
    return out;
  }
  void fill(uint8_t* out, size_t count) {
    for (; count >= 8; out += 8, count -= 8) {
      const uint64_t word = next();
      std::memcpy(out, &word, 8);
    }
    for (; count > 0; count--) *out++ = static_cast<uint8_t>(next());
  }

  static uint64_t seed() {
    static const char* text = std::getenv("SEED");
    return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
  }

 private:
  uint64_t state_;
};

// Where in its pages a buffer lies: 0 ends at the guard page, kAtBegin begins behind one, 1 to 63 begins that much later.
using Placement = size_t;
constexpr Placement kAtEnd = 0, kAtBegin = 64;

// Memory between two pages that fault. What is placed in it has 64 known bytes to each side, as far as the pages reach.
class Guarded {
 public:
  explicit Guarded(size_t capacity) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    bytes_ = (capacity + 2 * kSide + page - 1) / page * page;
    void* at = mmap(nullptr, bytes_ + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED);
    begin_ = static_cast<uint8_t*>(at) + page;
    CHECK(mprotect(begin_, bytes_, PROT_READ | PROT_WRITE) == 0);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  // Room for `count` bytes, all 0xA5.
  uint8_t* place(size_t count, Placement placement) {
    CHECK(count + 2 * kSide <= bytes_);
    at_ = placement == kAtEnd ? begin_ + bytes_ - count : begin_ + placement % kAtBegin;
    count_ = count;
    std::memset(sideBefore(), kFill, static_cast<size_t>(sideAfter() - sideBefore()));
    return at_;
  }
  uint8_t* place(const Bytes& bytes, Placement placement) {
    place(bytes.size(), placement);
    if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
    return at_;
  }

  uint8_t* data() const { return at_; }
  bool holds(const uint8_t* expected, size_t count) const { return count == 0 || std::memcmp(at_, expected, count) == 0; }
  bool holds(const Bytes& expected) const { return expected.size() == count_ && holds(expected.data(), count_); }
  bool isZero() const { return isAll(at_, at_ + count_, 0); }
  // Nothing beside it was written.
  bool isAlone() const { return isAll(sideBefore(), at_, kFill) && isAll(at_ + count_, sideAfter(), kFill); }
  bool isUntouched() const { return isAlone() && isAll(at_, at_ + count_, kFill); }

 private:
  static constexpr size_t kSide = 64;
  static constexpr uint8_t kFill = 0xA5;

  static bool isAll(const uint8_t* from, const uint8_t* to, uint8_t value) {
    for (; from < to; from++) {
      if (*from != value) return false;
    }
    return true;
  }
  uint8_t* sideBefore() const { return at_ - begin_ > static_cast<ptrdiff_t>(kSide) ? at_ - kSide : begin_; }
  uint8_t* sideAfter() const {
    uint8_t* end = begin_ + bytes_;
    return end - (at_ + count_) > static_cast<ptrdiff_t>(kSide) ? at_ + count_ + kSide : end;
  }

  size_t bytes_ = 0;
  uint8_t* begin_ = nullptr;
  uint8_t* at_ = nullptr;
  size_t count_ = 0;
};

// Says how long a part of a program took, and that it held.
class Part {
 public:
  explicit Part(const char* name) : name_(name), begin_(std::chrono::steady_clock::now()) {}
  ~Part() {
    const auto took = std::chrono::steady_clock::now() - begin_;
    const long long ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
    std::printf("  ok  %s (%lld ms)%s%s\n", name_, ms, note_.empty() ? "" : ": ", note_.c_str());
    std::fflush(stdout);
  }
  void note(const std::string& text) { note_ = text; }

 private:
  const char* name_;
  std::chrono::steady_clock::time_point begin_;
  std::string note_;
};

}  // namespace keyladder::test

#endif  // KEYLADDER_TEST_NATIVE_CHECK_H_
