#include "ops/embed.h"

#include "bitaxon/ops.h"
#include "core/align.h"
#include "core/step.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor embed(const Tensor& table, const Tensor& seen, const Tensor& next_token,
             std::int64_t n_rows) {
  const Shape shape = weight_shape("embed", "table", table);
  check_argument(shape[0] == 1, "embed", "table", "a weight [1, V, S]", shape.to_string());
  check_state("embed", "seen", seen, DType::u32, {divide_up(shape[1], 32)});
  check_state("embed", "next_token", next_token, DType::i32, {1});
  check_argument(n_rows >= 1 && n_rows <= kMaxRows, "embed", "n_rows",
                 "1.." + std::to_string(kMaxRows), std::to_string(n_rows));
  const Graph::Argument arguments[] = {
      {table}, {seen, Access::read_write}, {next_token, Access::read}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, shape[2]}}};
  return table.graph().record(static_cast<std::uint16_t>(OpId::embed), EmbedParams{n_rows},
                              arguments, outputs)[0];
}

namespace {

Cost cost(const NodeView& node, const StepSizes& sizes) {
  using namespace embed_operand;
  // Only the rows of the looked-up ids are read.
  const std::int64_t row_bytes = weight_bytes(node, table) / node.shape(table)[1];
  return {row_bytes * sizes.n_rows + activation_bytes(node, y, sizes) +
              2 * state_bytes(node, seen) * sizes.n_segments,
          0, row_bytes * sizes.n_rows};
}

/// The table is frozen and ids have no gradient.
void gradient(const NodeGradient&) {}

}  // namespace

const OpInfo embed_info{"embed", cost, gradient};

}  // namespace bitaxon
