// What tests of training share: adapters whose B is not 0, random sequences, and gradients.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bitaxon/backend.h"
#include "training/tuner.h"

namespace bitaxon::test {

/// Gives every B small random values. A new adapter has zeros there, so A would have no gradient.
void randomize_b(Tuner& tuner);

/// A random sequence whose first `n_prompt` tokens are no targets.
TrainSequence random_sequence(std::size_t n, std::int64_t vocab_size, std::uint32_t seed,
                              std::size_t n_prompt = 2);

/// Settings of an update that computes gradients and changes no parameter.
OptimizerSettings no_change();

/// Loss and gradients of an update that changes no parameter.
struct FoundGradients {
  UpdateResult result;
  std::vector<float> values;
};
FoundGradients gradients(Tuner& tuner, const std::vector<TrainSequence>& sequences);

/// Compares the gradients of each tensor. The bound is a relative L2 distance.
void expect_gradients(const Tuner& tuner, std::span<const float> actual,
                      std::span<const float> expected, double bound);

}  // namespace bitaxon::test
