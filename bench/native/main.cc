// Times AES-256-GCM without Node: this project's kernels, OpenSSL's EVP and Intel's ipsec-mb in one process. They agree
// byte for byte before anything is timed; rounds are interleaved. One JSON object a line: case and contender, ns a call.
//   native-bench [ROUNDS] [MS_A_ROUND] [TEXT_IN_NAME]

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <stdexcept>

#include "contender.h"

namespace bench {
namespace {

constexpr size_t kKib = 1024;
constexpr size_t kRecordBatchBytes = 256 * kKib;

struct Case {
  std::string name;
  Kind kind;
  size_t count;
  size_t itemBytes;
};

std::vector<Case> casesOf() {
  std::vector<Case> cases;
  for (size_t batch : {64 * kKib, 256 * kKib, 1024 * kKib}) {
    cases.push_back({"frames", Kind::kFrames, batch / kFrameBytes, kFrameBytes});
  }
  for (size_t bytes : {size_t{64}, size_t{256}, kKib, 4 * kKib, 16 * kKib, 64 * kKib, 256 * kKib, 1024 * kKib}) {
    cases.push_back({"buffer", Kind::kBuffer, 1, bytes});
  }
  for (size_t bytes : {size_t{64}, size_t{256}, kKib}) {
    cases.push_back({"records", Kind::kRecords, kRecordBatchBytes / bytes, bytes});
  }
  return cases;
}

// Bytes without a pattern that matters; the same in every run.
std::vector<uint8_t> filled(size_t bytes, uint32_t seed) {
  std::vector<uint8_t> result(bytes);
  uint32_t state = seed;
  for (uint8_t& byte : result) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(state >> 24);
  }
  return result;
}

Work workOf(const Case& which) {
  const size_t overhead = which.kind == Kind::kBuffer   ? kTagBytes
                          : which.kind == Kind::kFrames ? kFramePrefixBytes + kTagBytes
                                                        : kRecordOverheadBytes;
  Work work = {};
  work.kind = which.kind;
  work.count = which.count;
  work.itemBytes = which.itemBytes;
  work.nonces = filled(which.count * kNonceBytes, 1);
  work.messageId = filled(kMessageIdBytes, 2);
  work.prefix = filled(kRecordPrefixBytes, 3);
  work.plain = filled(which.count * which.itemBytes, 4);
  work.wire.assign(which.count * (which.itemBytes + overhead), 0);
  work.opened.assign(work.plain.size(), 0);
  work.status.assign(which.count, 0);
  work.writtenOffsets.assign(which.count + 1, 0);
  for (size_t i = 0; i <= which.count; i++) {
    work.plainOffsets.push_back(static_cast<uint32_t>(i * which.itemBytes));
    work.wireOffsets.push_back(static_cast<uint32_t>(i * (which.itemBytes + overhead)));
  }
  return work;
}

// Why a contender may not be timed on this case; empty where it agrees with `expected`, or is the first to say.
std::string disagreement(Contender& contender, Work& work, std::vector<uint8_t>& expected) {
  std::fill(work.wire.begin(), work.wire.end(), 0);
  contender.seal(work);
  if (expected.empty()) expected = work.wire;
  if (work.wire != expected) {
    const auto at = std::mismatch(work.wire.begin(), work.wire.end(), expected.begin()).first - work.wire.begin();
    return "sealed to other bytes, from byte " + std::to_string(at);
  }
  std::fill(work.opened.begin(), work.opened.end(), 0);
  if (!contender.open(work) || work.opened != work.plain) return "did not open what it sealed";
  work.wire.back() ^= 1;
  return contender.open(work) ? "opened a wrong tag" : "";
}

double nowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

struct Timed {
  std::string contender;
  const char* operation;
  std::function<void(size_t)> run;  // so many calls in a row
  size_t calls;
  std::vector<double> ns;
};

// How many calls fill `ms`.
size_t calibrate(const std::function<void(size_t)>& run, double ms) {
  size_t calls = 1;
  for (;;) {
    const double started = nowNs();
    run(calls);
    const double spent = nowNs() - started;
    if (spent >= ms * 1e6 / 4) return std::max<size_t>(1, static_cast<size_t>(calls * ms * 1e6 / spent));
    calls *= 2;
  }
}

// False where a contender disagreed; it is named, and not timed.
bool measure(const Contenders& contenders, const Case& which, size_t rounds, double ms) {
  Work work = workOf(which);
  std::vector<uint8_t> expected;
  std::vector<Contender*> all;
  for (const auto& contender : contenders) {
    const std::string why = disagreement(*contender, work, expected);
    if (why.empty()) {
      all.push_back(contender.get());
    } else {
      std::fprintf(stderr, "%s of %zu bytes: %s %s\n", which.name.c_str(), which.itemBytes, contender->name().c_str(),
                   why.c_str());
    }
  }
  if (all.empty()) return false;
  for (const char* operation : {"seal", "open", "ctr"}) {
    std::vector<Timed> timed;
    for (Contender* self : all) {
      if (operation[0] == 's') {
        timed.push_back({self->name(), operation, [self, &work](size_t n) { while (n-- > 0) self->seal(work); }, 0, {}});
      } else if (operation[0] == 'o') {
        timed.push_back({self->name(), operation, [self, &work](size_t n) { while (n-- > 0) self->open(work); }, 0, {}});
      } else if (self->hasCtr() && which.kind == Kind::kBuffer) {
        timed.push_back({self->name(), operation, [self, &work](size_t n) { while (n-- > 0) self->ctr(work); }, 0, {}});
      }
    }
    all.front()->seal(work);
    for (Timed& one : timed) one.calls = calibrate(one.run, ms);
    for (size_t round = 0; round < rounds; round++) {
      for (Timed& one : timed) {
        const double started = nowNs();
        one.run(one.calls);
        one.ns.push_back((nowNs() - started) / static_cast<double>(one.calls));
      }
      std::reverse(timed.begin(), timed.end());
    }
    for (Timed& one : timed) {
      std::sort(one.ns.begin(), one.ns.end());
      std::printf("{\"kind\":\"%s\",\"operation\":\"%s\",\"itemBytes\":%zu,\"items\":%zu,\"contender\":\"%s\",\"ns\":%.2f}\n",
                  which.name.c_str(), one.operation, which.itemBytes, which.count, one.contender.c_str(),
                  one.ns[one.ns.size() / 2]);
    }
  }
  return all.size() == contenders.size();
}

}  // namespace
}  // namespace bench

// The figures printed stand, but somebody disagreed: not 1, which means that there are none.
constexpr int kDisagreed = 3;

int main(int argc, char** argv) {
  const size_t rounds = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 3;
  const double ms = argc > 2 ? std::strtod(argv[2], nullptr) : 4;
  const std::string only = argc > 3 ? argv[3] : "";
  try {
    const std::vector<uint8_t> key = bench::filled(bench::kKeyBytes, 9);
    bench::Contenders all;
    bench::addEvp(all, key.data());
    bench::addIpsecMb(all, key.data());
    bench::addKernels(all, key.data());
    if (all.empty()) throw std::runtime_error("nothing to time on this machine");
    bool agreed = true;
    for (const bench::Case& which : bench::casesOf()) {
      if (which.name.find(only) != std::string::npos) agreed &= bench::measure(all, which, rounds, ms);
    }
    return agreed ? 0 : kDisagreed;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "native-bench: %s\n", error.what());
    return 1;
  }
}
