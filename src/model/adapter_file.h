// Finds an adapter's file.
#pragma once

#include <filesystem>

namespace bitaxon {

/// The adapter's file for a path that a user names. It is `path` itself if that is a file, else
/// `path` with ".safetensors" appended. In a folder it is adapters.safetensors (a checkpoint of a
/// training run also has other safetensors files), else adapter_model.safetensors, else the only
/// safetensors file. Throws Error(io) that says what was expected and what was found.
std::filesystem::path find_adapter(const std::filesystem::path& path);

}  // namespace bitaxon
