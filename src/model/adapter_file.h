// Finds an adapter's file.
#pragma once

#include <filesystem>

namespace bitaxon {

/// The file of the adapter that a user names by `path`. If `path` is a folder, the file is
/// adapters.safetensors, else adapter_model.safetensors, else the only safetensors file. (A
/// checkpoint of a training run also has other safetensors files.) Otherwise the file is `path`, or
/// `path` with ".safetensors" appended. Throws Error(io) that says what was expected and what was
/// found.
std::filesystem::path find_adapter(const std::filesystem::path& path);

}  // namespace bitaxon
