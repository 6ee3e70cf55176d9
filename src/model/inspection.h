// What a model is, from its files alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/model_files.h"
#include "formats/safetensors.h"
#include "model/weights.h"

namespace bitaxon {

/// Sums over a part of the model, or over one stored format.
struct Tally {
  std::int64_t elements = 0;
  std::uint64_t bytes = 0;

  double bits_per_weight() const {
    return static_cast<double>(bytes) * 8 / static_cast<double>(elements);
  }
};

/// A tensor with numbers that are not finite.
struct BadTensor {
  std::string name;
  std::int64_t n_nan = 0;
  std::int64_t n_inf = 0;
};

struct Inspection {
  std::string path;
  ModelSpec spec;
  std::optional<Checkpoint> checkpoint;  ///< `weights` points into it; empty for random weights
  std::vector<FoundWeight> weights;
  std::vector<std::string> warnings;
  std::int64_t n_parameters = 0;  ///< a tied head counted once
  std::int64_t n_read_per_token = 0;
  Tally stored;
  std::map<std::string, Tally> parts;    ///< by part_of
  std::map<std::string, Tally> formats;  ///< by the format that the weights are stored in
  std::map<std::string, Tally> scales;   ///< of codes, by the type that the scales are stored in
  std::uint64_t state_exact_bytes = 0, state_fast_bytes = 0;
  std::vector<BadTensor> bad;  ///< of check_numbers
};

/// Throws as load_spec and find_weights do.
Inspection inspect_files(const ModelFiles& files);
/// A model of random weights; `name` becomes its path.
Inspection inspect_random(const ModelSpec& spec, const std::string& name);
/// Reads every weight and adds the tensors with numbers that are not finite. Throws Error(io).
void check_numbers(Inspection& model, const LoadProgress& on_progress);

}  // namespace bitaxon
