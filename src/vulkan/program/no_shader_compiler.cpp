// Replaces shader_compiler.cpp in a build without libshaderc.
#include "bitaxon/error.h"
#include "vulkan/program/shader_compiler.h"

namespace bitaxon::vulkan {

void require_shader_compiler() {
  throw Error(ErrorKind::unsupported,
              "this build has no shader compiler (BITAXON_WITH_SHADERC was off)");
}

std::vector<std::uint32_t> compile_shader(const std::filesystem::path&, std::string_view) {
  require_shader_compiler();
  return {};
}

bool compiles_matrix_shaders() { return false; }

}  // namespace bitaxon::vulkan
