// Models for tests: recorded models, and copies of models that a test may change.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "formats/safetensors.h"

namespace bitaxon::test {

/// The path of the model in a folder of tests/golden, as an argument of --model.
std::filesystem::path golden_model(const std::string& folder);
Checkpoint golden_io(const std::string& folder);

/// The folder of a recorded model that is small enough to copy: config.json and model.safetensors.
inline constexpr const char* kSmallestModel = "tiny_long";
void copy_model(const std::filesystem::path& from, const std::filesystem::path& to);

/// Writes the tensors of the file `from` to the file `to`, with other metadata. The first number of
/// the tensor `poison` becomes NaN.
void rewrite_model(const std::filesystem::path& from, const std::filesystem::path& to,
                   const std::map<std::string, std::string>& metadata,
                   const std::string& poison = {});

}  // namespace bitaxon::test
