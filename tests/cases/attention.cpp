#include <algorithm>
#include <cmath>

#include "cases/op_case.h"

namespace bitaxon::test {
namespace {

struct Spec {
  DType ring = DType::f32;
  std::int64_t n_heads = 4;
  std::int64_t head_dim = 8;
  std::int64_t window = 16;
  std::int64_t ring_rows = 0;  ///< 0: the fewest that are allowed
  std::vector<CaseSegment> segments = one_segment(5, 3);
  double q_spread = 1;
  double value_spread = 1;
};

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments);
  const std::int64_t d = spec.n_heads * spec.head_dim;
  const std::int64_t rows =
      spec.ring_rows != 0 ? spec.ring_rows : spec.window + p.capacity(RowSpace::rows) - 1;
  const auto q = p.add_input(d, spec.q_spread);
  const auto keys = p.add_ring(spec.ring, {rows, d});
  const auto values = p.add_ring(spec.ring, {rows, d});
  for (const SegmentWords& segment : p.segments()) {
    // Only what some row sees: a window that is one too wide reads a NaN.
    const std::int64_t position = segment.position;
    const std::int64_t first = std::max<std::int64_t>(0, position - spec.window + 1);
    p.fill_ring(keys, segment, first, position + segment.n_rows, 1);
    p.fill_ring(values, segment, first, position + segment.n_rows, spec.value_spread);
  }
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {attention(h.inputs[q], h.states[keys], h.states[values], spec.n_heads, spec.window)};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  // A score of size s has an error of s * 2^-24 or so, which exp turns into a relative one.
  const double largest_score = spec.q_spread * std::sqrt(3.0) * 4;
  return {std::move(label),
          tags,
          {0x1p-23 * (largest_score + std::sqrt(static_cast<double>(spec.window)) + 8),
           "float32 exp of scores, and a sum over the window"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> attention_cases() {
  std::vector<OpCase> cases;
  for (DType ring : {DType::f32, DType::f16})
    for (std::uint32_t n : {1U, 2U, 5U, 16U, 33U})
      for (std::uint32_t position : {0U, 40U})
        cases.push_back(make("rows_" + std::to_string(n) + "_at_" + std::to_string(position) + "_" +
                                 std::string(name_of(ring)),
                             kPlain, {.ring = ring, .segments = one_segment(n, position)}));
  for (std::uint32_t position : {14U, 15U, 16U, 17U})
    cases.push_back(make("window_boundary_at_" + std::to_string(position), kEdge,
                         {.segments = one_segment(3, position)}));
  cases.push_back(make("window_of_one", kEdge, {.window = 1, .segments = three_segments()}));
  cases.push_back(make("window_of_two", kEdge, {.window = 2, .segments = three_segments()}));
  cases.push_back(
      make("step_longer_than_window", kEdge, {.window = 7, .segments = one_segment(33, 10)}));
  cases.push_back(
      make("wraps_within_window", kEdge, {.ring_rows = 50, .segments = one_segment(5, 104)}));
  cases.push_back(
      make("wraps_within_step", kEdge, {.ring_rows = 50, .segments = one_segment(5, 98)}));
  cases.push_back(make("largest_position", kEdge, {.segments = one_segment(3, 0xFFFFFF00U)}));
  cases.push_back(make("odd_sizes", kEdge,
                       {.n_heads = 3, .head_dim = 5, .window = 11, .segments = three_segments()}));
  cases.push_back(make("one_head_of_one", kEdge, {.n_heads = 1, .head_dim = 1}));
  cases.push_back(make("wide_head", kEdge, {.n_heads = 1, .head_dim = 129}));
  cases.push_back(make("three_segments", kEdge, {.segments = three_segments()}));
  cases.push_back(
      make("three_segments_f16", kEdge, {.ring = DType::f16, .segments = three_segments()}));
  cases.push_back(make("equal_scores", kEdge, {.q_spread = 0}));
  cases.push_back(
      make("one_score_dominates", kEdge, {.segments = three_segments(), .q_spread = 1e4}));
  cases.push_back(make("large_values", kEdge, {.value_spread = 1e18}));
  cases.push_back(make("tiny_values", kEdge, {.value_spread = 1e-18}));
  cases.push_back(make("model", kModel | kBench,
                       {.ring = DType::f16,
                        .n_heads = 32,
                        .head_dim = 80,
                        .window = 4096,
                        .ring_rows = 4096 + 512 + 2,
                        .segments = one_segment(2, 5000)}));
  return cases;
}

}  // namespace bitaxon::test
