// Models of random numbers, for measuring and for tests: the same on every machine.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/weights.h"

namespace bitaxon {

/// SplitMix64's output function: a well-mixed number for every counter, cheap enough to fill
/// gigabytes in seconds. Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number
/// generators".
constexpr std::uint64_t mix64(std::uint64_t counter) {
  std::uint64_t z = (counter + 1) * 0x9E3779B97F4A7C15U;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
  z = (z ^ z >> 27) * 0x94D049BB133111EBU;
  return z ^ z >> 31;
}

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
