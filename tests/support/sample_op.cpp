#include "support/sample_op.h"

#include <utility>

namespace bitaxon::test {

std::vector<std::int32_t> SampleOp::run(std::span<const Draw> draws) {
  std::vector<bitaxon::SampleOp::Draw> all;
  for (const Draw& draw : draws)
    all.push_back({draw.logits, draw.seen, draw.params.words(), draw.position});
  return bitaxon::SampleOp::run(all);
}

std::int32_t SampleOp::run_one(std::span<const float> logits, const PlainParams& params,
                               std::vector<bool> seen) {
  const Draw draw{logits, std::move(seen), params, 5};
  return run(std::span(&draw, 1))[0];
}

}  // namespace bitaxon::test
