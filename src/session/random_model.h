// Writes a model of random weights as files.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace bitaxon {

struct RandomModel {
  std::string preset = "small";
  /// The file or the folder of the model's tokenizer. Empty: a tokenizer of bytes and chat tokens.
  std::filesystem::path tokenizer = {};
  std::uint64_t seed = 0;
};

/// Writes config.json, model.safetensors and the tokenizer into a new folder, which appears when it
/// is complete. The weights are those of the preset in memory: F16 matrices and F32 vectors. If the
/// tokenizer has more ids than the preset, the model gets that many. Returns false if the call was
/// interrupted. Throws Error(io) if the folder exists and is not empty or if a file cannot be read
/// or written, and as Tokenizer::load does.
bool write_random_model(
    const RandomModel& model, const std::filesystem::path& output,
    const std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>& on_progress,
    const std::atomic<bool>& interrupted);

}  // namespace bitaxon
