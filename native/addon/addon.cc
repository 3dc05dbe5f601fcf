// Registers the functions. Loaded once an environment: the main thread and every worker; the keys are common to all.

#include <atomic>

#include "functions.h"
#include "info.h"

namespace keyladder {

namespace {

struct Export {
  const char* name;
  napi_callback callback;
};

constexpr Export kExports[] = {
    {"keyImport", entry<keyImport>},     {"keyExport", entry<keyExport>},     {"keyDispose", entry<keyDispose>},
    {"messageKey", entry<messageKey>},   {"gcmKey", entry<gcmKey>},           {"seal", entry<seal>},
    {"open", entry<open>},               {"sealAt", entry<sealAt>},           {"openAt", entry<openAt>},
    {"sealHeader", entry<sealHeader>},   {"openHeader", entry<openHeader>},   {"ctr", entry<ctr>},
    {"sealFrames", entry<sealFrames>},   {"openFrames", entry<openFrames>},   {"sealRecords", entry<sealRecords>},
    {"openRecords", entry<openRecords>},   {"help", entry<help>},
};

// Of the signatures: raised with every change of them, here and in src/engine/addon.ts.
constexpr uint32_t kVersion = 2;

std::atomic<Owner> lastOwner{0};

// An environment that ends takes the keys it made with it.
void leave(void* data) {
  Environment* environment = static_cast<Environment*>(data);
  disposeKeysOf(environment->owner);
  delete environment;
}

}  // namespace

Napi::Object load(Napi::Env env, Napi::Object exports) {
  if (!openKeyTable()) {
    Napi::Error::New(env, "the system gives no memory for keys").ThrowAsJavaScriptException();
    return exports;
  }
  Environment* environment = new Environment(++lastOwner);
  if (napi_add_env_cleanup_hook(env, leave, environment) != napi_ok) {
    delete environment;
    Napi::Error::New(env, "the runtime takes no cleanup hook").ThrowAsJavaScriptException();
    return exports;
  }
  for (const Export& item : kExports) {
    napi_value function;
    if (napi_create_function(env, item.name, NAPI_AUTO_LENGTH, item.callback, environment, &function) != napi_ok ||
        napi_set_named_property(env, exports, item.name, function) != napi_ok) {
      Napi::Error::New(env, "the runtime refused a function").ThrowAsJavaScriptException();
      return exports;
    }
  }
  exports.Set("info", Napi::Function::New(env, info));
  exports.Set("selfTest", Napi::Function::New(env, selfTest));
  exports.Set("version", kVersion);
  exports.Set("errors", errorTexts(env));
  exports.Set("testing", testing(env));
  return exports;
}

}  // namespace keyladder

namespace {
Napi::Object loadAddon(Napi::Env env, Napi::Object exports) { return keyladder::load(env, exports); }
}  // namespace

NODE_API_MODULE(keyladder, loadAddon)
