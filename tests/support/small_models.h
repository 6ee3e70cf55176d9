// Small models with random weights for tests. A test can also write such a model as a model
// directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bitaxon/devices.h"
#include "bitaxon/model.h"
#include "bitaxon/shape.h"
#include "model/families/bit_axon.h"

namespace bitaxon::test {

/// The configuration of a small model with six layers (two of each kind) and a window of 16.
BitAxonConfig small_config();

/// Random ids that depend only on the seed. They are the same on every machine.
std::vector<std::int32_t> random_ids(std::size_t n, std::int64_t vocab_size, std::uint32_t seed);

struct NamedTensor {
  Shape shape;  ///< the shape in the checkpoint
  std::vector<float> values;
};

/// Normally distributed values around 0.
NamedTensor random_tensor(const Shape& shape, std::uint32_t seed, float deviation = 1);

/// A configuration, and the tensors and metadata of a checkpoint by name.
struct StoredModel {
  BitAxonConfig config;
  std::map<std::string, NamedTensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads the configuration from the folder of a model.
BitAxonConfig read_config(const std::filesystem::path& folder);

/// The weights that Model::random makes from this seed, by their first names.
std::map<std::string, NamedTensor> random_tensors(const ModelSpec& spec, std::uint64_t seed);
/// Writes a model of any family into an existing folder: `config` as config.json, and random weights
/// in F32.
void write_random_model(const std::filesystem::path& folder, const std::string& config,
                        std::uint64_t seed);
StoredModel random_stored(const BitAxonConfig& config, std::uint64_t seed);
/// Writes config.json and model.safetensors into an existing folder. All tensors are F32.
void write_model(const std::filesystem::path& folder, const StoredModel& model);
void write_tensors(const std::filesystem::path& file,
                   const std::map<std::string, NamedTensor>& tensors,
                   const std::map<std::string, std::string>& metadata = {});
void write_text(const std::filesystem::path& file, std::string_view text);

/// A model and its backend.
struct OpenModel {
  std::shared_ptr<Backend> backend;
  Model model;
};
OpenModel open_model(const std::string& device, int n_threads, const std::filesystem::path& path,
                     const LoadOptions& options = {});
OpenModel open_random(const std::string& device, int n_threads, const BitAxonConfig& config,
                      const LoadOptions& options = {}, std::uint64_t seed = 1);

/// Feeds ids in pieces of these sizes and returns the logits of every row.
std::vector<float> feed_pieces(Model& model, State& state, std::span<const std::int32_t> ids,
                               std::span<const std::size_t> pieces);
/// Feeds ids in pieces of at most kMaxRows and returns the logits of every row.
std::vector<float> feed_all(Model& model, State& state, std::span<const std::int32_t> ids);
/// Splits n rows into pieces of `size` rows. The last piece may be smaller.
std::vector<std::size_t> equal_pieces(std::size_t n, std::size_t size);
/// Splits n rows into pieces of 1 to `largest` rows each.
std::vector<std::size_t> random_pieces(std::size_t n, std::size_t largest, std::uint32_t seed);

/// Whether all numbers have the same bits. So a NaN equals the same NaN, but 0 does not equal -0.
bool same_bits(std::span<const float> a, std::span<const float> b);

}  // namespace bitaxon::test
