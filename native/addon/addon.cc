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
    {"keyImport", entry<keyImport, 1>},            {"keyExport", entry<keyExport, 2>},
    {"keyDispose", entry<keyDispose, 1>},          {"messageKey", entry<messageKey, 8>},
    {"gcmKey", entry<gcmKey, 2>},                  {"seal", entry<seal, 5>},
    {"open", entry<open, 6>},                      {"sealAt", entry<sealAt, 8>},
    {"openAt", entry<openAt, 8>},                  {"sealHeader", entry<sealHeader, 4>},
    {"openHeader", entry<openHeader, 4>},          {"ctr", entry<ctr, 4>},
    {"sealFrames", entry<sealFrames, 9>},          {"openFrames", entry<openFrames, 9>},
    {"sealRecords", entry<sealRecords, 10>},       {"openRecords", entry<openRecords, 10>},
    {"help", entry<help, 1>},                      {"laneBind", entry<laneBind, 2>},
    {"laneSeal", entry<laneSeal, 1>},              {"laneOpen", entry<laneOpen, 1>},
    {"laneFree", entry<laneFree, 1>},
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
