// GLSL compiled at run time, for those who change shaders.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace bitaxon::vulkan {

/// Throws Error(unsupported) when this build has no compiler.
void require_shader_compiler();

/// SPIR-V of dir/<name>.comp, by shaderc with the options of the build. An #include is looked for
/// beside the file that has it, then in `dir`. Throws Error(unsupported) when there is no compiler,
/// Error(io) when the file cannot be read, Error(format) with the first message, as "file:line:
/// error: ...".
std::vector<std::uint32_t> compile_shader(const std::filesystem::path& dir, std::string_view name);

}  // namespace bitaxon::vulkan
