{
  "variables": {
    # One line a file, on every platform; kernels of other CPUs compile to nothing.
    "sources_of": "node -e \"for (const d of ['kernels','dispatch','addon']) for (const f of require('fs').readdirSync('native/'+d)) if (f.endsWith('.cc')) console.log('native/'+d+'/'+f)\"",
  },
  "targets": [
    {
      "target_name": "keyladder",
      "sources": ["<!@(<(sources_of))"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED"],
      "cflags": ["-O3", "-fvisibility=hidden", "-fstack-protector", "-Wall", "-Wextra"],
      "cflags_c": ["-O3"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-std=c++20", "-frtti", "-fexceptions"],
      "cflags_cc": ["-O3", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-fomit-frame-pointer"],
      "conditions": [
        ["OS=='linux'", {
          # The key table is the process's: unloading it with a worker would lose it.
          "ldflags": ["-Wl,-z,nodelete", "-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack"],
        }],
        ["OS=='mac'", {
          "xcode_settings": {
            "GCC_OPTIMIZATION_LEVEL": "3",
            "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
            "GCC_ENABLE_CPP_EXCEPTIONS": "NO",
            "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
            "MACOSX_DEPLOYMENT_TARGET": "11.0",
            "OTHER_CPLUSPLUSFLAGS": ["-O3"],
          },
        }],
        ["OS=='win'", {
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["/std:c++17", "/O2"], "ExceptionHandling": 0 } },
          "defines": ["_HAS_EXCEPTIONS=0", "NOMINMAX"],
        }],
      ],
    },
  ],
}
