#include "ops/sample.h"

#include "core/align.h"
#include "core/step.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor sample(const Tensor& logits, const Tensor& seen, const Tensor& next_token,
              const SamplerStructure& structure, std::int64_t n_segments) {
  check_argument(!logits.empty() && logits.shape().rank() == 2 &&
                     logits.row_space() == RowSpace::outputs && logits.shape()[0] <= kMaxRows,
                 "sample", "logits", "an activation F32 [O, V] with a row per output",
                 logits.empty() ? "an empty handle" : logits.shape().to_string());
  const std::int64_t vocab_size = logits.shape()[1];
  check_activation("sample", "logits", logits, DType::f32, {logits.shape()[0], vocab_size});
  check_argument(n_segments >= 1 && n_segments <= kMaxSegments, "sample", "n_segments",
                 "1.." + std::to_string(kMaxSegments), std::to_string(n_segments));
  check_state("sample", "seen", seen, DType::u32, {divide_up(vocab_size, 32)});
  check_state("sample", "next_token", next_token, DType::i32, {1});
  const Graph::Argument arguments[] = {{logits}, {seen}, {next_token, Access::write}};
  const Graph::Output outputs[] = {{DType::i32, {n_segments}, RowSpace::segments}};
  return logits.graph().record(static_cast<std::uint16_t>(OpId::sample), SampleParams{structure},
                               arguments, outputs)[0];
}

namespace {

Cost cost(const NodeView& node, const StepSizes& sizes) {
  using namespace sample_operand;
  return {activation_bytes(node, logits, sizes) + state_bytes(node, seen) * sizes.n_segments,
          4 * node.shape(logits)[1] * sizes.n_segments};
}

}  // namespace

const OpInfo sample_info{"sample", cost};

}  // namespace bitaxon
