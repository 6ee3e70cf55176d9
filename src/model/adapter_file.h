// Finds the file of the adapter that a user names.
#pragma once

#include <filesystem>

namespace bitaxon {

/// The file that `path` means: the file itself, or the one of that name with ".safetensors" behind
/// it, or of a folder adapters.safetensors (a checkpoint of a training run has it beside others),
/// else adapter_model.safetensors, else its only safetensors file. Throws Error(io) that says what
/// was looked for and what is there.
std::filesystem::path find_adapter(const std::filesystem::path& path);

}  // namespace bitaxon
