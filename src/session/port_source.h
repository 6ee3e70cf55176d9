// The tensors of the Qwen2.5 model that port-weights reads, or random ones in their place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "bitaxon/model_spec.h"
#include "bitaxon/shape.h"
#include "formats/quantize.h"

namespace bitaxon {

/// Names of the source's tensors.
std::string source_embedding();
std::string source_mixer_norm(std::int64_t block);
std::string source_feed_forward_norm(std::int64_t block);
/// "gate", "up" or "down".
std::string source_mlp(std::int64_t block, const char* which);

/// A matrix of floats, or a vector as one row.
struct SourceTensor {
  std::int64_t rows = 0, cols = 0;
  ReadElements read;
};

class PortSource {
 public:
  /// Opens the safetensors files of a folder. Throws Error(io, format) as Checkpoint::open does.
  static PortSource open(const std::filesystem::path& folder);
  /// Normally distributed weights in the shape of a small Qwen2.5 for this model: twice the ids, and
  /// feed-forward parts of four times the width.
  static PortSource random(const ModelSpec& spec, std::uint64_t seed);

  /// The tensor. Throws Error(io) if it may be in a missing file. Throws Error(format) if there is
  /// none, and if it does not hold floats.
  SourceTensor find(const std::string& name) const { return find_(name); }

 private:
  explicit PortSource(std::function<SourceTensor(const std::string&)> find)
      : find_(std::move(find)) {}
  std::function<SourceTensor(const std::string&)> find_;
};

}  // namespace bitaxon
