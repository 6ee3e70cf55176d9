#include "ops/attention_backward.h"

#include <fmt/format.h>

#include <algorithm>

#include "bitaxon/training_ops.h"
#include "cases/op_case.h"

namespace bitaxon::test {
namespace {

struct Spec {
  DType dtype = DType::f32;  ///< of keys and values
  std::int64_t n_heads = 4;
  std::int64_t group = 1;  ///< heads of queries that share a head of keys
  std::int64_t head_dim = 8;
  std::int64_t window = 16;  ///< 0: none
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  double q_spread = 1;
};

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const AttentionParams params{spec.n_heads, spec.n_heads / spec.group, spec.window};
  const std::int64_t width = spec.n_heads * spec.head_dim;
  std::int64_t n_before = 0;
  for (const CaseSegment& segment : spec.segments)
    n_before = std::max(n_before, segment.position - params.first_key(segment.position));
  const auto q = p.add_input(width, spec.q_spread);
  const auto y = p.add_input(width, 1);
  const auto g_y = p.add_input(width, 1);
  std::size_t pages[4];  // keys, values, and their gradients
  for (std::size_t i = 0; i < 4; ++i)
    pages[i] = p.add_pages(i < 2 ? spec.dtype : DType::f32, width / spec.group, n_before);
  for (const SegmentWords& segment : p.segments()) {
    const GradientRange range(params, segment.position, segment.n_rows, segment.keeps_state != 0);
    for (const std::size_t i : {0U, 1U}) {
      // Gradients that later steps have not written hold NaN, and the op must not add to them.
      p.fill_pages(pages[i], segment, range.first, range.end, 1);
      p.fill_pages(pages[i + 2], segment, range.added, range.end, 1);
    }
  }
  for (const std::size_t i : {2U, 3U})
    p.may_write_before(pages[i], spec.window == 0 ? n_before : spec.window - 1);
  p.record = [=, g_keys = pages[2], g_values = pages[3], keys = pages[0],
              values = pages[1]](const OpHandles& h) -> std::vector<Tensor> {
    return {
        attention_backward(h.inputs[q], h.states[keys], h.states[values],
                           {.n_heads = spec.n_heads,
                            .n_kv_heads = spec.n_heads / spec.group,
                            .window = spec.window == 0 ? std::nullopt : std::optional(spec.window)},
                           h.inputs[y], h.inputs[g_y], h.states[g_keys], h.states[g_values])};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {1e-5, "float32 sums of products, and exponentials of scores"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

/// Segments that begin and end in the middle of blocks of rows, for every block size.
std::vector<CaseSegment> ragged_segments() {
  return {{.slot = 1, .n_rows = 21, .position = 5},
          {.slot = 3, .n_rows = 1, .position = 77},
          {.slot = 0, .n_rows = 30, .position = 0, .keeps_state = false},
          {.slot = 2, .n_rows = 40, .position = 130, .keeps_state = false}};
}

}  // namespace

std::vector<OpCase> attention_backward_cases() {
  std::vector<OpCase> cases;
  for (const DType dtype : {DType::f32, DType::f16})
    for (const std::uint32_t n : {1U, 2U, 5U, 16U, 33U})
      cases.push_back(make(fmt::format("rows_{}_{}", n, name_of(dtype)),
                           n == 5 ? kEveryMode : kPlain,
                           {.dtype = dtype, .segments = one_segment(n, n % 2 == 0 ? 0 : 20)}));
  for (const std::int64_t window : {0, 1, 7, 63, 64, 65, 300})
    cases.push_back(make(fmt::format("ragged_window_{}", window), kEdge,
                         {.window = window, .segments = ragged_segments()}));
  for (const std::int64_t head_dim : {1, 3, 5, 33, 64, 80, 128, 130})
    cases.push_back(make(
        fmt::format("ragged_head_size_{}", head_dim), head_dim < 64 ? kEdge : kEdge | kExhaustive,
        {.n_heads = 3, .head_dim = head_dim, .window = 50, .segments = ragged_segments()}));
  for (const std::int64_t group : {2, 3, 6})
    for (const DType dtype : {DType::f32, DType::f16})
      cases.push_back(make(fmt::format("ragged_groups_of_{}_{}", group, name_of(dtype)), kEdge,
                           {.dtype = dtype,
                            .n_heads = 6,
                            .group = group,
                            .head_dim = 24,
                            .window = 40,
                            .segments = ragged_segments()}));
  cases.push_back(make("three_segments", kEdge, {.segments = three_segments()}));
  cases.push_back(make("ending_segments", kEdge, {.window = 4, .segments = ending_segments()}));
  cases.push_back(make("long_segments", kEdge, {.window = 40, .segments = long_segments()}));
  cases.push_back(make("full_bucket", kEdge, {.segments = one_segment(8, 5), .capacity = 8}));
  cases.push_back(make("equal_scores", kEdge, {.segments = ragged_segments(), .q_spread = 0}));
  cases.push_back(make("huge_scores", kEdge, {.segments = ragged_segments(), .q_spread = 1e30}));
  cases.push_back(make("model", kModel | kBench,
                       {.n_heads = 20,
                        .head_dim = 128,
                        .window = 4096,
                        .segments = one_segment(64, 448),
                        .capacity = 64}));
  return cases;
}

}  // namespace bitaxon::test
