// Describes a model from its files, without loading it.
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

/// The size of a part of the model, or of all weights in one stored format.
struct Tally {
  std::int64_t elements = 0;
  std::uint64_t bytes = 0;

  double bits_per_weight() const {
    return static_cast<double>(bytes) * 8 / static_cast<double>(elements);
  }
};

/// A tensor with NaN or infinite elements.
struct BadTensor {
  std::string name;
  std::int64_t n_nan = 0;
  std::int64_t n_inf = 0;
};

/// The results of an inspection.
struct Inspection {
  std::string path;
  ModelSpec spec;
  std::optional<Checkpoint> checkpoint;  ///< empty for random weights; `weights` points into it
  std::vector<FoundWeight> weights;
  std::vector<std::string> warnings;
  std::int64_t n_parameters = 0;  ///< a tied head counts once
  std::int64_t n_read_per_token = 0;
  Tally stored;
  std::map<std::string, Tally> parts;    ///< sizes by part_of()
  std::map<std::string, Tally> formats;  ///< sizes by stored format
  std::map<std::string, Tally> scales;   ///< sizes of the scales of quantized weights, by type
  std::uint64_t state_exact_bytes = 0, state_fast_bytes = 0;
  std::vector<BadTensor> bad;  ///< filled in by check_numbers()
};

/// Inspects the files of a model. Throws as load_spec and find_weights do.
Inspection inspect_files(const ModelFiles& files);
/// Inspects a model of random weights. `name` becomes Inspection::path.
Inspection inspect_random(const ModelSpec& spec, const std::string& name);
/// The number of blocks of each kind, in the order of their first block: "8 ssm, 8 swa_moe".
std::string layers_text(const ModelSpec& spec);
/// Reads every weight and adds each tensor with NaN or infinite elements to Inspection::bad. Throws
/// Error(io).
void check_numbers(Inspection& model, const LoadProgress& on_progress);

}  // namespace bitaxon
