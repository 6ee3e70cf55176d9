// Compiles GLSL at run time, for developers of shaders.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace bitaxon::vulkan {

/// Throws Error(unsupported) when this build has no shader compiler.
void require_shader_compiler();

/// SPIR-V of dir/<name>.comp, compiled by shaderc with the options of the build. An #include is
/// searched for next to the file that contains it, then in `dir`. Throws Error(unsupported) without
/// a compiler, Error(io) when the file cannot be read, and Error(format) with the first message of
/// the compiler, "file:line: error: ...".
std::vector<std::uint32_t> compile_shader(const std::filesystem::path& dir, std::string_view name);

}  // namespace bitaxon::vulkan
