#include "ops/op.h"

#include <array>

#include "bitaxon/training_ops.h"
#include "core/step.h"

namespace bitaxon {

StepSizes sizes_of(const StepBuffer& step) {
  return {.n_rows = step.n_rows,
          .n_segments = step.n_segments,
          .n_outputs = step.n_outputs,
          .position = step.segments[0].position};
}

std::int64_t rows_in(RowSpace space, const StepSizes& sizes) {
  switch (space) {
    case RowSpace::rows:
      return sizes.n_rows;
    case RowSpace::segments:
      return sizes.n_segments;
    case RowSpace::outputs:
      return sizes.n_outputs;
    case RowSpace::none:
      break;
  }
  return 1;
}

const OpInfo& op_info(OpId op) {
  static constexpr std::array<const OpInfo*, kOpCount> kTable = {
#define BX_OP(name) &name##_info,
#include "ops/op_list.inc"
#undef BX_OP
  };
  return *kTable[static_cast<std::size_t>(op)];
}

const GradientRules& gradient_rules() {
  static constexpr GradientRules kRules{[](const Node& node) { return op_info(node).gradient; },
                                        add};
  return kRules;
}

}  // namespace bitaxon
