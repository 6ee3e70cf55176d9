#include "ops/sum_squares.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

void sum_squares(const Tensor& vector, const Tensor& result) {
  check_vector("sum_squares", "vector", vector);
  check_state("sum_squares", "result", result, DType::f32, {1, 1});
  const Graph::Argument arguments[] = {{vector}, {result, Access::write}};
  vector.graph().record(static_cast<std::uint16_t>(OpId::sum_squares), SumSquaresParams{},
                        arguments, {});
}

const OpInfo sum_squares_info{
    "sum_squares", [](const NodeView& node, const StepSizes&) {
      using namespace sum_squares_operand;
      return Cost{state_bytes(node, vector), 2 * node.shape(vector).elements()};
    }};

}  // namespace bitaxon
