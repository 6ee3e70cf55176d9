// Models of random numbers, for measuring and for tests: the same on every machine.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/weights.h"

namespace bitaxon {

/// How random weights are stored.
struct RandomForm {
  /// Matrices as codes of their own, not quantized from floats: gigabytes within seconds. A tied
  /// head is then a matrix beside the embedding.
  std::optional<Quantization> codes = {};
  DType vectors = DType::f32;  ///< of what is no matrix; matrices that have no codes are float16
};

/// The tensors of random weights, as find_weights finds those of a checkpoint. They are in no file.
std::vector<FoundWeight> random_found(const ModelSpec& spec, const RandomForm& form = {});

/// Generates the numbers, scaled so that activations stay near one.
ReadWeight random_reader(const ModelSpec& spec, std::uint64_t seed);

}  // namespace bitaxon
