// What can go wrong in a call, as a negative number; JavaScript looks code and text up in `errorTexts`.

#ifndef KEYLADDER_ADDON_ERRORS_H_
#define KEYLADDER_ADDON_ERRORS_H_

#include <cstddef>
#include <cstdint>

namespace keyladder {

enum Error : int32_t {
  kOk = 0,
  kBadArgument = -1,
  kClosed = -2,
  kForked = -3,
  kFull = -4,
  kTooSmall = -5,
  kOverlap = -6,
  kOutside = -7,
  kDetached = -8,
  kOffsets = -9,
  kTooLong = -10,
  kNoKernel = -11,
  kNoMemory = -12,
  kRuntime = -13,
};

struct ErrorText {
  const char* code;
  const char* message;
};

// Error -1 first.
constexpr ErrorText kErrorTexts[] = {
    {"ERR_INPUT", "an argument of the native engine is not what it must be"},
    {"ERR_CLOSED", "this key was already disposed"},
    {"ERR_CLOSED", "this key did not survive the fork of the process: derive it again"},
    {"ERR_ENGINE_UNAVAILABLE", "no room for another key: dispose those that are not in use"},
    {"ERR_OUTPUT_TOO_SMALL", "the output is too small"},
    {"ERR_OVERLAP", "output and input overlap"},
    {"ERR_INPUT", "an offset lies outside its array"},
    {"ERR_INPUT", "an array was detached: its memory was transferred away"},
    {"ERR_INPUT", "offsets must ascend and stay within their array"},
    {"ERR_INPUT", "longer than AES-GCM allows, or than 32-bit offsets reach"},
    {"ERR_ENGINE_UNAVAILABLE", "no kernel of that number is ready"},
    {"ERR_ENGINE_UNAVAILABLE", "out of memory"},
    {"ERR_INTERNAL", "the JavaScript runtime refused a call of the native engine"},
};
constexpr size_t kErrorCount = sizeof kErrorTexts / sizeof *kErrorTexts;

}  // namespace keyladder

#endif  // KEYLADDER_ADDON_ERRORS_H_
