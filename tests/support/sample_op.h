// Runs only the sample op, on any backend.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "eager/sample_op.h"
#include "support/plain_sampler.h"

namespace bitaxon::test {

/// The sample op with the parameters of the plain sampler.
class SampleOp : public bitaxon::SampleOp {
 public:
  using bitaxon::SampleOp::SampleOp;

  struct Draw {
    std::span<const float> logits;
    std::vector<bool> seen;
    PlainParams params;
    std::uint32_t position = 1;  ///< position of the drawn token
  };
  std::vector<std::int32_t> run(std::span<const Draw> draws);
  std::int32_t run_one(std::span<const float> logits, const PlainParams& params,
                       std::vector<bool> seen = {});
};

}  // namespace bitaxon::test
