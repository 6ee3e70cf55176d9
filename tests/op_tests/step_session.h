// Sessions and weights for tests that run ops in successive steps.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "eager/session.h"
#include "formats/safetensors.h"

namespace bitaxon::test {

/// Packs a weight of a recorded file. `shape` is the shape that the ops expect, [n_matrices, rows,
/// cols]. The file may store a vector or a convolution with another shape, but with the same order
/// of elements.
std::shared_ptr<const Weight> packed_weight(Backend& backend, const Checkpoint& file,
                                            const std::string& name, const Shape& shape);
/// Packs the given values as an f32 weight.
std::shared_ptr<const Weight> packed_weight(Backend& backend, const Shape& shape,
                                            std::span<const float> values);

/// A session whose steps find NaN in all memory that they must not read.
class StepSession : public EagerSession {
 public:
  StepSession(Backend& backend, std::int32_t n_slots, ScheduleOptions options = {})
      : EagerSession(backend, n_slots, {.schedule = options, .memory = {}, .poison = true}) {}
};

}  // namespace bitaxon::test
