#include "vulkan/program/shader_source.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "platform/printable.h"
#include "vulkan/program/shader_compiler.h"

namespace bitaxon::vulkan {

ShaderSource shader_source(const std::filesystem::path& dir) {
  if (dir.empty())
    return [](Shader shader) {
      const auto code = embedded_code(shader);
      return std::vector<std::uint32_t>(code.begin(), code.end());
    };
  require_shader_compiler();
  std::error_code ignored;
  if (!std::filesystem::is_directory(dir, ignored))
    throw Error(ErrorKind::io, fmt::format("{}: expected a folder of shaders, found none",
                                           printable_path(dir.string())));
  return [dir](Shader shader) { return compile_shader(dir, name_of(shader)); };
}

}  // namespace bitaxon::vulkan
