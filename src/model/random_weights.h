// Models of random weights for measurements and tests. The weights are the same on every machine.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/weights.h"

namespace bitaxon {

/// How random weights are stored.
struct RandomForm {
  /// If set, matrices have random codes that are not quantized from floats, so gigabytes take
  /// seconds. A tied head is then a matrix of its own in addition to the embedding.
  std::optional<Quantization> codes = {};
  DType vectors = DType::f32;  ///< type of non-matrices; matrices without codes are float16
};

/// The weights of a random model, in the form that find_weights returns for a checkpoint. No file
/// holds their tensors.
std::vector<FoundWeight> random_found(const ModelSpec& spec, const RandomForm& form = {});

/// Returns a function that generates the weights, scaled so that activations stay near one.
ReadWeight random_reader(const ModelSpec& spec, std::uint64_t seed);

}  // namespace bitaxon
