#pragma once

#include "bitaxon/ops.h"

namespace bitaxon {

struct SampleParams {
  SamplerStructure structure;
};

namespace sample_operand {
enum : int { logits, seen, next_token, tokens };
}

}  // namespace bitaxon
