// A tiny model in the files and names of Qwen2.5, with random weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "support/small_models.h"

namespace bitaxon::test {

/// Fits the small Bit-Axon model: four layers of width 128.
struct QwenShape {
  std::int64_t width = 128, d_hidden = 600, n_layers = 4;
};

/// The text of a tokenizer.json with the 256 bytes, all pairs of letters of one case (1352 merges),
/// and as added tokens those of chats and one more.
std::string qwen_tokenizer();
inline constexpr std::int64_t kQwenTokens = 256 + 2 * 26 * 26 + 4;

std::map<std::string, NamedTensor> qwen_tensors(const QwenShape& shape = {});
/// Writes config.json, tokenizer.json, tokenizer_config.json and model.safetensors into `folder`,
/// which is created.
void write_qwen(const std::filesystem::path& folder,
                const std::map<std::string, NamedTensor>& tensors = qwen_tensors());

}  // namespace bitaxon::test
