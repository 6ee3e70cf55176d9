#include "vulkan/program/shader_compiler.h"

#include <fmt/format.h>
#include <shaderc/shaderc.h>

#include <cstring>
#include <memory>
#include <string>

#include "bitaxon/error.h"
#include "platform/file.h"
#include "platform/optional_file.h"
#include "platform/printable.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::uint64_t kMaxSourceBytes = 1 << 20;
constexpr std::size_t kMaxIncludeDepth = 32;

struct Release {
  void operator()(shaderc_compiler_t compiler) const { shaderc_compiler_release(compiler); }
  void operator()(shaderc_compile_options_t options) const {
    shaderc_compile_options_release(options);
  }
  void operator()(shaderc_compilation_result_t result) const { shaderc_result_release(result); }
};
using Compiler = std::unique_ptr<shaderc_compiler, Release>;
using Options = std::unique_ptr<shaderc_compile_options, Release>;
using Result = std::unique_ptr<shaderc_compilation_result, Release>;

/// An included file, or an error. For an error, `name` is empty and `text` is the error message.
/// `view` is the form in which libshaderc reads both.
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
    try {
      if (!optional_file_exists(path)) continue;
      return {path.string(), read_whole_file(path, kMaxSourceBytes)};
    } catch (const Error& error) {
      return {"", error.what()};
    }
  }
  return {"", fmt::format("no such file in {}", printable_path(dir.string()))};
}

// libshaderc calls this function for each #include. The function must not throw, because libshaderc
// has a C interface.
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

/// The same compiler options as in the build (see cmake/BitAxonShaders.cmake). The result refers to
/// `dir`, so `dir` must outlive it.
Options options_for(std::filesystem::path& dir) {
  Options options(shaderc_compile_options_initialize());
  shaderc_compile_options_set_optimization_level(options.get(),
                                                 shaderc_optimization_level_performance);
  shaderc_compile_options_set_target_env(options.get(), shaderc_target_env_vulkan,
                                         shaderc_env_version_vulkan_1_2);
  shaderc_compile_options_set_warnings_as_errors(options.get());
  // All shaders have this version, so it is forced. Otherwise glslang would print its built-ins to
  // stdout for a source that asks for an old version.
  shaderc_compile_options_set_forced_version_profile(options.get(), 450, shaderc_profile_none);
  shaderc_compile_options_set_include_callbacks(options.get(), resolve_include, release_include,
                                                &dir);
  return options;
}

std::string first_line(std::string_view text) {
  return printable(text.substr(0, text.find('\n')), 700);
}

}  // namespace

void require_shader_compiler() {}

std::vector<std::uint32_t> compile_shader(const std::filesystem::path& dir, std::string_view name) {
  const std::string file = (dir / fmt::format("{}.comp", name)).string();
  const std::string source = read_whole_file(file, kMaxSourceBytes);
  std::filesystem::path include_dir = dir;
  const Compiler compiler(shaderc_compiler_initialize());
  const Options options = options_for(include_dir);
  const Result result(shaderc_compile_into_spv(compiler.get(), source.data(), source.size(),
                                               shaderc_compute_shader, file.c_str(), "main",
                                               options.get()));
  if (shaderc_result_get_compilation_status(result.get()) != shaderc_compilation_status_success)
    throw Error(ErrorKind::format, first_line(shaderc_result_get_error_message(result.get())));
  std::vector<std::uint32_t> code(shaderc_result_get_length(result.get()) / sizeof(std::uint32_t));
  std::memcpy(code.data(), shaderc_result_get_bytes(result.get()),
              code.size() * sizeof(std::uint32_t));
  return code;
}

bool compiles_matrix_shaders() {
  constexpr std::string_view kSource =
      "#version 450\n"
      "#extension GL_KHR_cooperative_matrix : require\n"
      "void main() {}\n";
  std::filesystem::path no_folder;
  const Compiler compiler(shaderc_compiler_initialize());
  const Options options = options_for(no_folder);
  const Result result(shaderc_compile_into_spv(compiler.get(), kSource.data(), kSource.size(),
                                               shaderc_compute_shader, "probe", "main",
                                               options.get()));
  return shaderc_result_get_compilation_status(result.get()) == shaderc_compilation_status_success;
}

}  // namespace bitaxon::vulkan
