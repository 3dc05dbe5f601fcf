// What a call leaves behind: the stack below its caller, and the registers.

#ifndef KEYLADDER_TEST_NATIVE_OBSERVE_H_
#define KEYLADDER_TEST_NATIVE_OBSERVE_H_

#include <cstdint>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "../../native/dispatch/cpu.h"
#include "check.h"

// x86-64, System V: all three work below the stack pointer they were called with.
extern "C" {
void keyladderPaintStack(size_t bytes);
void keyladderCopyStack(uint8_t* out, size_t bytes);
// xmm, ymm or zmm registers, as the CPU has them.
void keyladderClearXmm();
void keyladderCopyXmm(uint8_t* out);
void keyladderClearYmm();
void keyladderCopyYmm(uint8_t* out);
void keyladderClearZmm();
void keyladderCopyZmm(uint8_t* out);
// rax, rcx, rdx, rsi, r8 to r11: those a call may leave anything in.
void keyladderCopyGeneral(uint8_t* out);
}

namespace keyladder::test {

// Byte strings that must not be found. Eight bytes of one, wherever they lie, are a trace of it.
class Secrets {
 public:
  static constexpr size_t kWindow = 8;

  // `name` is what a failure calls it.
  void add(const char* name, const uint8_t* bytes, size_t count) {
    for (size_t at = 0; at + kWindow <= count; at += kWindow) {
      const uint64_t word = wordAt(bytes + at);
      if (word == 0) continue;
      names_.emplace(word, name);
      names_.emplace(__builtin_bswap64(word), name);
    }
  }
  void add(const char* name, const Bytes& bytes) { add(name, bytes.data(), bytes.size()); }

  // Whether there is a trace; says of what, and how far before the end of `memory`, which is called `where`.
  bool isIn(const uint8_t* memory, size_t count, const char* where) const {
    for (size_t at = 0; at + kWindow <= count; at++) {
      const auto found = names_.find(wordAt(memory + at));
      if (found == names_.end()) continue;
      std::snprintf(finding, sizeof finding, "%s (%016llx) in %s, %zu bytes before the end", found->second,
                    static_cast<unsigned long long>(found->first), where, count - at);
      return true;
    }
    return false;
  }

  // What `isIn` found last.
  static inline char finding[128];

 private:
  static uint64_t wordAt(const uint8_t* at) {
    uint64_t word;
    std::memcpy(&word, at, sizeof word);
    return word;
  }
  std::unordered_map<uint64_t, const char*> names_;
};

// What the stack is painted with.
constexpr uint8_t kPaint = 0x5A;

struct Traces {
  static constexpr size_t kStackBytes = 16 * 1024;
  uint8_t stack[kStackBytes];
  uint8_t vectors[32 * 64];
  uint8_t general[8 * 8];
};

// The widest registers of this CPU: whoever called before may have left his own values in them.
struct VectorRegisters {
  void (*clear)();
  void (*copy)(uint8_t* out);
};
inline VectorRegisters vectorRegisters() {
  const auto has = [](CpuFeature feature) { return (cpuFeatures() >> feature & 1) != 0; };
  if (has(kCpuOsZmm) && has(kCpuAvx512f)) return {keyladderClearZmm, keyladderCopyZmm};
  if (has(kCpuOsYmm) && has(kCpuAvx)) return {keyladderClearYmm, keyladderCopyYmm};
  return {keyladderClearXmm, keyladderCopyXmm};
}

// Calls on a stack painted beforehand, and takes what is left of the call. Not in builds that watch themselves: those
// keep locals elsewhere.
template <typename Call>
__attribute__((noinline)) void observe(Traces* traces, const Call& call) {
  const VectorRegisters registers = vectorRegisters();
  std::memset(traces, 0, sizeof *traces);
  keyladderPaintStack(Traces::kStackBytes);
  registers.clear();
  call();
  keyladderCopyGeneral(traces->general);
  registers.copy(traces->vectors);
  keyladderCopyStack(traces->stack, Traces::kStackBytes);
}

}  // namespace keyladder::test

#endif  // KEYLADDER_TEST_NATIVE_OBSERVE_H_
