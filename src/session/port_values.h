// The rules of port-weights: which tensor of Qwen2.5 a weight of Bit-Axon comes from, and how.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bitaxon/porting.h"
#include "formats/quantize.h"
#include "model/weights.h"
#include "session/port_source.h"

namespace bitaxon {

/// The rule of a weight.
PortRule rule_of(WeightId id);

/// What the values of a new model depend on.
struct PortInputs {
  const ModelSpec& spec;
  const PortSource& source;
  const VocabIds& ids;
  std::uint64_t seed = 0;
  std::optional<double> expert_noise = {};
};

/// A function that computes any whole rows of a weight. It reads the source piece by piece. The
/// inputs must outlive it. Throws Error(io, format) if the source lacks a tensor or has one of
/// another shape. Throws Error(invalid_argument) for a source of another width.
ReadElements values_of(const WeightSlot& slot, const PortInputs& inputs);

}  // namespace bitaxon
