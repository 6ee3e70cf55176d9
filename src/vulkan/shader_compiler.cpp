// glslc, and not the library under it: Debian 12's libshaderc.so.1 cannot be opened (it lacks the
// symbols of glslang and SPIRV-Tools), and a compiler that crashes takes nobody with it.
#include "vulkan/shader_compiler.h"

#include <fmt/format.h>

#include <cstring>
#include <string>

#include "bitaxon/error.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "platform/process.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::uint32_t kSpirvMagic = 0x07230203;

ProcessResult run_glslc(const std::filesystem::path& dir, const std::string& file) {
  try {
    // The flags of cmake/BitAxonShaders.cmake.
    return run_process(
        {"glslc", "--target-env=vulkan1.2", "-O", "-Werror", "-I", dir.string(), "-o", "-", file});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::unsupported) throw;
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: compiling shaders at run time needs shaderc's glslc (install "
                            "glslc): {}",
                            printable_path(file), error.what()));
  }
}

std::string first_line(std::string_view text) {
  return printable(text.substr(0, text.find('\n')), 700);
}

}  // namespace

std::vector<std::uint32_t> compile_shader(const std::filesystem::path& dir, std::string_view name) {
  // Absolute, so that no name looks like a flag.
  const std::filesystem::path folder = std::filesystem::absolute(dir);
  const std::string file = (folder / fmt::format("{}.comp", name)).string();
  File::open(file);
  const ProcessResult result = run_glslc(folder, file);
  if (result.signal != 0)
    throw Error(ErrorKind::format,
                fmt::format("{}: glslc crashed (signal {})", printable_path(file), result.signal));
  if (result.exit_status != 0) throw Error(ErrorKind::format, first_line(result.output));
  std::vector<std::uint32_t> code(result.output.size() / sizeof(std::uint32_t));
  std::memcpy(code.data(), result.output.data(), code.size() * sizeof(std::uint32_t));
  if (code.empty() || code[0] != kSpirvMagic)
    throw Error(ErrorKind::format, fmt::format("{}: glslc gave no SPIR-V: {}", printable_path(file),
                                               first_line(result.output)));
  return code;
}

}  // namespace bitaxon::vulkan
