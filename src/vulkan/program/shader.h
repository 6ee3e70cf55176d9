// The names of the compute shaders and their SPIR-V. The list of names is generated from
// shaders/shaders.cmake.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace bitaxon::vulkan {

/// The shaders. Shader::name stands for shaders/<name>.comp.
enum class Shader : std::uint16_t {
#define BX_SHADER(name) name,
#include "shaders/shader_list.inc"
#undef BX_SHADER
};

inline constexpr int kShaderCount = 0
#define BX_SHADER(name) +1
#include "shaders/shader_list.inc"
#undef BX_SHADER
    ;

std::string_view name_of(Shader shader);
/// The SPIR-V of a shader, compiled at build time. Empty if the build had no compiler for it.
std::span<const std::uint32_t> embedded_code(Shader shader);

}  // namespace bitaxon::vulkan
