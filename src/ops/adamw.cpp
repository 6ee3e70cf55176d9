#include "ops/adamw.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

void adamw(const Tensor& parameters, const Tensor& gradients, const Tensor& first,
           const Tensor& second, const Tensor& numbers) {
  const Shape shape{1, check_vector("adamw", "parameters", parameters)};
  check_state("adamw", "gradients", gradients, DType::f32, shape);
  check_state("adamw", "first", first, DType::f32, shape);
  check_state("adamw", "second", second, DType::f32, shape);
  check_state("adamw", "numbers", numbers, DType::f32, {1, adamw_number::count});
  const Graph::Argument arguments[] = {{parameters, Access::read_write},
                                       {gradients},
                                       {first, Access::read_write},
                                       {second, Access::read_write},
                                       {numbers}};
  parameters.graph().record(static_cast<std::uint16_t>(OpId::adamw), AdamwParams{}, arguments, {});
}

const OpInfo adamw_info{
    "adamw", [](const NodeView& node, const StepSizes&) {
      using namespace adamw_operand;
      return Cost{7 * state_bytes(node, parameters), 16 * node.shape(parameters).elements()};
    }};

}  // namespace bitaxon
