#include "ops/load_rows.h"

#include "bitaxon/training_ops.h"
#include "core/step.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor load_rows(const Tensor& store, std::int64_t n_rows, RowSelect select) {
  check_store("load_rows", "store", store);
  check_argument(n_rows >= 1 && n_rows <= kMaxRows, "load_rows", "n_rows",
                 "1.." + std::to_string(kMaxRows), std::to_string(n_rows));
  const Graph::Argument arguments[] = {{store}};
  const RowSpace space = select == RowSelect::outputs ? RowSpace::outputs : RowSpace::rows;
  const Graph::Output outputs[] = {{store.dtype(), rows_like(store.shape(), n_rows), space}};
  return store.graph().record(static_cast<std::uint16_t>(OpId::load_rows), LoadRowsParams{select},
                              arguments, outputs)[0];
}

namespace {

Cost cost(const NodeView& node, const StepSizes& sizes) {
  return {2 * activation_bytes(node, load_rows_operand::y, sizes)};
}

/// The walk ends here. Gradients::of() has the gradient of the rows.
void gradient(const NodeGradient&) {}

}  // namespace

const OpInfo load_rows_info{"load_rows", cost, gradient};

}  // namespace bitaxon
