#include "vulkan/shader_compiler.h"

#include <fmt/format.h>
#include <shaderc/shaderc.h>

#include <cstring>
#include <memory>
#include <string>

#include "bitaxon/error.h"
#include "platform/dynamic_library.h"
#include "platform/file.h"
#include "platform/printable.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::uint64_t kMaxSourceBytes = 1 << 20;
constexpr std::size_t kMaxIncludeDepth = 32;

// What is used of libshaderc.
#define BX_SHADERC_FUNCTIONS(X)             \
  X(compiler_initialize)                    \
  X(compiler_release)                       \
  X(compile_options_initialize)             \
  X(compile_options_release)                \
  X(compile_options_set_optimization_level) \
  X(compile_options_set_target_env)         \
  X(compile_options_set_warnings_as_errors) \
  X(compile_options_set_include_callbacks)  \
  X(compile_into_spv)                       \
  X(result_release)                         \
  X(result_get_length)                      \
  X(result_get_bytes)                       \
  X(result_get_compilation_status)          \
  X(result_get_error_message)

/// The library's functions, without their prefix.
struct Shaderc {
  DynamicLibrary library;
#define BX_DECLARE(name) decltype(&shaderc_##name) name = nullptr;
  BX_SHADERC_FUNCTIONS(BX_DECLARE)
#undef BX_DECLARE
};

Shaderc open_shaderc() {
  // Distributions differ in the name.
  const std::string names[] = {"libshaderc.so.1", "libshaderc_shared.so.1", "libshaderc_shared.so",
                               "libshaderc_shared.dylib"};
  Shaderc shaderc;
  try {
    shaderc.library = DynamicLibrary(names);
  } catch (const Error& error) {
    throw Error(ErrorKind::unsupported,
                fmt::format("compiling shaders at run time needs libshaderc (install libshaderc1): "
                            "{}",
                            error.what()));
  }
  const auto find = [&]<class Function>(Function& function, const char* symbol) {
    function = reinterpret_cast<Function>(shaderc.library.find(symbol));
    if (function == nullptr)
      throw Error(ErrorKind::unsupported, fmt::format("libshaderc has no {}", symbol));
  };
#define BX_FIND(name) find(shaderc.name, "shaderc_" #name);
  BX_SHADERC_FUNCTIONS(BX_FIND)
#undef BX_FIND
  return shaderc;
}

const Shaderc& shaderc() {
  static const Shaderc library = open_shaderc();
  return library;
}

struct Release {
  void operator()(shaderc_compiler_t compiler) const { shaderc().compiler_release(compiler); }
  void operator()(shaderc_compile_options_t options) const {
    shaderc().compile_options_release(options);
  }
  void operator()(shaderc_compilation_result_t result) const { shaderc().result_release(result); }
};
using Compiler = std::unique_ptr<shaderc_compiler, Release>;
using Options = std::unique_ptr<shaderc_compile_options, Release>;
using Result = std::unique_ptr<shaderc_compilation_result, Release>;

/// An included file, or, without a name, why there is none. The library reads `view`.
struct Included {
  std::string name;
  std::string text;
  shaderc_include_result view{};
};

Included read_included(const std::filesystem::path& dir, const std::string& wanted,
                       const std::filesystem::path& includer, std::size_t depth) {
  if (depth > kMaxIncludeDepth) return {"", "files include each other without end"};
  for (const std::filesystem::path& folder : {includer.parent_path(), dir}) {
    const std::filesystem::path path = (folder / wanted).lexically_normal();
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) continue;
    try {
      return {path.string(), read_whole_file(path, kMaxSourceBytes)};
    } catch (const Error& error) {
      return {"", error.what()};
    }
  }
  return {"", fmt::format("no such file in {}", printable_path(dir.string()))};
}

// Called by the library, which is C: nothing is thrown through it.
shaderc_include_result* resolve_include(void* user_data, const char* wanted, int,
                                        const char* includer, std::size_t depth) noexcept {
  const auto& dir = *static_cast<const std::filesystem::path*>(user_data);
  auto* included = new Included(read_included(dir, wanted, includer, depth));
  included->view = {included->name.data(), included->name.size(), included->text.data(),
                    included->text.size(), included};
  return &included->view;
}

void release_include(void*, shaderc_include_result* result) noexcept {
  delete static_cast<Included*>(result->user_data);
}

/// The options of the build, see cmake/BitAxonShaders.cmake.
Options build_options(std::filesystem::path& dir) {
  Options options(shaderc().compile_options_initialize());
  shaderc().compile_options_set_optimization_level(options.get(),
                                                   shaderc_optimization_level_performance);
  shaderc().compile_options_set_target_env(options.get(), shaderc_target_env_vulkan,
                                           shaderc_env_version_vulkan_1_2);
  shaderc().compile_options_set_warnings_as_errors(options.get());
  shaderc().compile_options_set_include_callbacks(options.get(), resolve_include, release_include,
                                                  &dir);
  return options;
}

std::string first_line(std::string_view text) {
  return printable(text.substr(0, text.find('\n')), 700);
}

}  // namespace

std::vector<std::uint32_t> compile_shader(const std::filesystem::path& dir, std::string_view name) {
  const std::string file = (dir / fmt::format("{}.comp", name)).string();
  const std::string source = read_whole_file(file, kMaxSourceBytes);
  std::filesystem::path include_dir = dir;
  const Compiler compiler(shaderc().compiler_initialize());
  const Options options = build_options(include_dir);
  const Result result(shaderc().compile_into_spv(compiler.get(), source.data(), source.size(),
                                                 shaderc_compute_shader, file.c_str(), "main",
                                                 options.get()));
  if (result == nullptr)
    throw Error(ErrorKind::format, fmt::format("{}: libshaderc gave no result", printable_path(file)));
  if (shaderc().result_get_compilation_status(result.get()) != shaderc_compilation_status_success)
    throw Error(ErrorKind::format, first_line(shaderc().result_get_error_message(result.get())));
  std::vector<std::uint32_t> code(shaderc().result_get_length(result.get()) / 4);
  std::memcpy(code.data(), shaderc().result_get_bytes(result.get()), code.size() * 4);
  return code;
}

}  // namespace bitaxon::vulkan
