#include "ops/dora_norms.h"

#include "ops/checks.h"

namespace bitaxon {

void dora_norms(const Tensor& weight, const Tensor& parameters, const Tensor& norms,
                const AdapterPlace& place) {
  const Shape shape = weight_shape("dora_norms", "weight", weight);
  check_argument(shape[0] == 1, "dora_norms", "weight", "a weight [1, out, in]", shape.to_string());
  check_argument(place.is_dora != 0, "dora_norms", "place", "an adapter of DoRA", "one of LoRA");
  check_place("dora_norms", place, parameters, norms, shape[2], shape[1]);
  const Graph::Argument arguments[] = {{weight}, {parameters}, {norms, Access::write}};
  weight.graph().record(static_cast<std::uint16_t>(OpId::dora_norms), place, arguments, {});
}

const OpInfo dora_norms_info{"dora_norms", [](const NodeView& node, const StepSizes&) {
                               using namespace dora_norms_operand;
                               const std::int64_t rank = node.params<AdapterPlace>().rank;
                               const std::int64_t n_out = node.shape(weight)[1];
                               const std::int64_t n_in = node.shape(weight)[2];
                               const std::int64_t weights = weight_bytes(node, weight);
                               return Cost{weights + 4 * (rank * (n_in + n_out) + n_out),
                                           (2 * rank + 3) * n_in * n_out, weights};
                             }};

}  // namespace bitaxon
