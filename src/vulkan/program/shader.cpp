#include "vulkan/program/shader.h"

#include "core/assert.h"

namespace bitaxon::vulkan {
namespace {

#include "shaders/shader_code.inc"

struct Entry {
  std::string_view name;
  std::span<const std::uint32_t> code;
};
constexpr Entry kShaders[] = {
#define BX_SHADER(name) {#name, name##_code},
#include "shaders/shader_list.inc"
#undef BX_SHADER
};

const Entry& entry_of(Shader shader) {
  const auto index = static_cast<std::size_t>(shader);
  BX_ASSERT(index < std::size(kShaders), "a shader of the list");
  return kShaders[index];
}

}  // namespace

std::string_view name_of(Shader shader) { return entry_of(shader).name; }

std::span<const std::uint32_t> embedded_code(Shader shader) { return entry_of(shader).code; }

}  // namespace bitaxon::vulkan
