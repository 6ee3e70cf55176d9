// Runs only the sample op, on any backend.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bitaxon/ops.h"
#include "core/backend.h"
#include "core/plan.h"
#include "core/step.h"

namespace bitaxon {

/// The sample op, compiled once for a vocabulary. Each call runs one step of up to kMaxSegments
/// segments.
class SampleOp {
 public:
  SampleOp(Backend& backend, std::int64_t vocab_size, SamplerStructure structure = {true, true});

  struct Draw {
    std::span<const float> logits;
    std::vector<bool> seen;
    SamplerWords params;
    std::uint32_t position = 1;  ///< position of the drawn token
  };
  std::vector<std::int32_t> run(std::span<const Draw> draws);
  /// Draws again from the logits of the latest run(), but at the positions of `step`. Segment g
  /// draws from output g.
  std::vector<std::int32_t> submit(StepBuffer step);

 private:
  void upload_seen(std::uint32_t slot, const std::vector<bool>& seen);

  Backend& backend_;
  std::int64_t vocab_size_;
  std::shared_ptr<StateLayout> layout_;
  Placement input_;
  Buffer arena_;
  std::vector<Buffer> state_;
  Executable executable_;
};

}  // namespace bitaxon
