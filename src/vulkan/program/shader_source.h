// Where the code of shaders comes from.
#pragma once

#include <filesystem>

#include "vulkan/program/pipeline.h"

namespace bitaxon::vulkan {

/// The source of shaders: the folder `dir`, or the embedded shaders if `dir` is empty. Checks
/// immediately that there is a compiler and that the folder exists, before anything slow begins.
ShaderSource shader_source(const std::filesystem::path& dir);

}  // namespace bitaxon::vulkan
