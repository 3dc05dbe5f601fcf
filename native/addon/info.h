// What the addon says of itself, and the hooks of its tests. Not on the hot path.

#ifndef KEYLADDER_ADDON_INFO_H_
#define KEYLADDER_ADDON_INFO_H_

#include <napi.h>

namespace keyladder {

// info(): CPU features, kernels, keys, memory.
Napi::Value info(const Napi::CallbackInfo& call);
// selfTest(kernel): undefined where the kernel runs here and answers rightly, else why not.
Napi::Value selfTest(const Napi::CallbackInfo& call);
// [{ code, message }], error -1 first.
Napi::Value errorTexts(Napi::Env env);
// Hooks for tests: nothing in the package calls them.
Napi::Object testing(Napi::Env env);

}  // namespace keyladder

#endif  // KEYLADDER_ADDON_INFO_H_
