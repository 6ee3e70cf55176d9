#include "ops/save_rows.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

void save_rows(const Tensor& x, const Tensor& store) {
  check_store("save_rows", "store", store);
  check_argument(!x.empty(), "save_rows", "x", "a tensor", "an empty handle");
  check_activation("save_rows", "x", x, store.dtype(), rows_like(store.shape(), x.shape()[0]));
  const Graph::Argument arguments[] = {{x}, {store, Access::write}};
  x.graph().record(static_cast<std::uint16_t>(OpId::save_rows), SaveRowsParams{}, arguments, {});
}

namespace {

Cost cost(const NodeView& node, const StepSizes& sizes) {
  return {2 * activation_bytes(node, save_rows_operand::x, sizes)};
}

}  // namespace

const OpInfo save_rows_info{"save_rows", cost};

}  // namespace bitaxon
