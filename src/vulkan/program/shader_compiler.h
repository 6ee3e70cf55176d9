// Compiles GLSL at run time, for developers of shaders.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace bitaxon::vulkan {

/// Throws Error(unsupported) when this build has no shader compiler.
void require_shader_compiler();

/// Compiles dir/<name>.comp to SPIR-V, by shaderc and with the options of the build. An included
/// file is searched for in the folder of the including file, then in `dir`. Throws
/// Error(unsupported) if this build has no compiler, and Error(io) if a file cannot be read. If the
/// source is wrong, throws Error(format) with the first message of the compiler, such as
/// "file:line: error: ...".
std::vector<std::uint32_t> compile_shader(const std::filesystem::path& dir, std::string_view name);

/// Whether the compiler knows matrix units (GL_KHR_cooperative_matrix). False if there is none.
bool compiles_matrix_shaders();

}  // namespace bitaxon::vulkan
