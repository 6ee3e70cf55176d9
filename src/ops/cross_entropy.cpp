#include "ops/cross_entropy.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor cross_entropy(const Tensor& logits, const Tensor& factors, const Tensor& log_probs) {
  check_wide_rows("cross_entropy", "logits", logits, 1);
  check_argument(logits.row_space() == RowSpace::outputs, "cross_entropy", "logits",
                 "rows of outputs", "rows of tokens");
  const std::int64_t capacity = check_vector("cross_entropy", "factors", factors);
  check_state("cross_entropy", "log_probs", log_probs, DType::f32, {1, capacity});
  const Graph::Argument arguments[] = {{logits}, {factors}, {log_probs, Access::write}};
  const Graph::Output outputs[] = {{DType::f32, logits.shape(), logits.row_space()}};
  return logits.graph().record(static_cast<std::uint16_t>(OpId::cross_entropy),
                               CrossEntropyParams{}, arguments, outputs)[0];
}

const OpInfo cross_entropy_info{"cross_entropy", [](const NodeView& node, const StepSizes& sizes) {
                                  using namespace cross_entropy_operand;
                                  return Cost{2 * activation_bytes(node, logits, sizes),
                                              12 * valid_elements(node, logits, sizes)};
                                }};

}  // namespace bitaxon
