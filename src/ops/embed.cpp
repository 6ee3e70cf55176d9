#include "ops/embed.h"

#include "bitaxon/ops.h"
#include "core/step.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor embed(const Tensor& table, const Tensor& seen, const Tensor& next_token,
             std::int64_t n_rows) {
  const Shape shape = weight_shape("embed", "table", table);
  check_argument(shape[0] == 1, "embed", "table", "a weight [1, V, S]", shape.to_string());
  check_state("embed", "seen", seen, DType::u32, {(shape[1] + 31) / 32});
  check_state("embed", "next_token", next_token, DType::i32, {1});
  check_argument(n_rows >= 1 && n_rows <= kMaxRows, "embed", "n_rows",
                 "1.." + std::to_string(kMaxRows), std::to_string(n_rows));
  const Graph::Argument arguments[] = {
      {table}, {seen, Access::read_write}, {next_token, Access::read}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, shape[2]}}};
  return table.graph().record(static_cast<std::uint16_t>(OpId::embed), EmbedParams{n_rows},
                              arguments, outputs)[0];
}

const OpInfo embed_info{
    "embed", [](const Graph& graph, const Node& node, const StepSizes& sizes) {
      using namespace embed_operand;
      // Only the rows that are looked up are read.
      const Shape& shape = operand_value(graph, node, table).shape;
      const std::int64_t row_bytes = weight_bytes(graph, node, table) / shape[1];
      return Cost{row_bytes * sizes.n_rows + activation_bytes(graph, node, y, sizes) +
                      2 * state_bytes(graph, node, seen) * sizes.n_segments,
                  0, row_bytes * sizes.n_rows};
    }};

}  // namespace bitaxon
