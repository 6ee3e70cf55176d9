// GLSL compiled at run time, for those who change shaders: libshaderc is opened when it is needed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace bitaxon::vulkan {

/// SPIR-V of dir/<name>.comp, with the options of the build. An #include is looked for beside the
/// file that has it, then in `dir`. Throws Error(unsupported) when there is no libshaderc,
/// Error(io) when a file cannot be read, Error(format) with the first message, as "file:line:
/// error: ...".
std::vector<std::uint32_t> compile_shader(const std::filesystem::path& dir, std::string_view name);

}  // namespace bitaxon::vulkan
