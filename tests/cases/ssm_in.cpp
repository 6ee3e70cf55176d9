#include <cmath>

#include "cases/op_case.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;   ///< of in_proj
  Format vectors = Format::f32;  ///< of the others
  std::int64_t d_model = 64;
  std::int64_t d_inner = 96;
  std::int64_t d_conv = 4;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  bool norm = true;
  double x_spread = 1;
};

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const std::int64_t d = spec.d_model;
  const std::int64_t e = spec.d_inner;
  const auto x = p.add_input(d, spec.x_spread);
  const auto norm = p.add_weight(spec.vectors, {1, 1, d}, 0.3, 1);
  const auto in_proj =
      p.add_weight(spec.format, {1, 2 * e, d}, 1 / std::sqrt(static_cast<double>(d)));
  const auto taps = p.add_weight(spec.vectors, {1, e, spec.d_conv}, 0.5);
  const auto bias = p.add_weight(spec.vectors, {1, 1, e}, 0.3);
  const auto tail = p.add_state(DType::f32, {spec.d_conv - 1, e});
  p.fill_state(tail, spec.norm ? 1 : spec.x_spread);
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    const auto [u, z] = ssm_in(h.inputs[x],
                               {.norm = spec.norm ? h.weights[norm] : Tensor(),
                                .in_proj = h.weights[in_proj],
                                .conv_weight = h.weights[taps],
                                .conv_bias = h.weights[bias]},
                               1e-6F, h.states[tail]);
    return {u, z};
  };
}

std::vector<CaseSegment> in_place(std::uint32_t n_rows) {
  return {{.slot = 1, .n_rows = n_rows, .position = 9, .read_version = 2, .write_version = 2}};
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  const double terms = static_cast<double>(spec.d_model + 16);
  return {std::move(label),
          tags,
          {0x1p-22 * std::sqrt(terms), "float32 sum of D products, then K more and a SiLU"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> ssm_in_cases() {
  std::vector<OpCase> cases;
  for (Format format : kEveryFormat)
    cases.push_back(
        make("format_" + std::string(name_of(format)), kPlain, {.format = format, .d_model = 128}));
  for (Format format : {Format::f16, Format::bf16})
    cases.push_back(make("vectors_" + std::string(name_of(format)), kPlain, {.vectors = format}));
  for (std::uint32_t n : {1U, 2U, 3U, 5U, 16U, 33U})
    for (std::uint32_t position : {0U, 6U})
      cases.push_back(make("rows_" + std::to_string(n) + "_at_" + std::to_string(position), kPlain,
                           {.segments = one_segment(n, position)}));
  cases.push_back(make("full_bucket", kEdge, {.segments = one_segment(8, 1), .capacity = 8}));
  cases.push_back(
      make("odd_sizes", kEdge, {.d_model = 7, .d_inner = 13, .segments = three_segments()}));
  cases.push_back(make("one_tap", kEdge, {.d_conv = 1, .segments = three_segments()}));
  cases.push_back(make("two_taps", kEdge, {.d_conv = 2, .segments = three_segments()}));
  cases.push_back(make("more_taps_than_rows", kEdge, {.d_conv = 9, .segments = three_segments()}));
  cases.push_back(make("three_segments", kEdge, {.segments = three_segments()}));
  cases.push_back(make("without_norm", kEdge, {.segments = three_segments(), .norm = false}));
  cases.push_back(make("large_values", kEdge, {.norm = false, .x_spread = 1e15}));
  cases.push_back(make("tiny_values", kEdge, {.norm = false, .x_spread = 1e-15}));
  // A state that is replaced in its place, by fewer rows than it has and by more.
  for (std::uint32_t n : {2U, 7U})
    cases.push_back(make("in_place_" + std::to_string(n), kEdge, {.segments = in_place(n)}));
  cases.push_back(make("long_segments", kEdge, {.segments = long_segments()}));
  // A bucket of one row.
  for (Format format : kEveryFormat)
    cases.push_back(
        make("single_" + std::string(name_of(format)), kPlain,
             {.format = format, .d_model = 128, .segments = in_place(1), .capacity = 1}));
  cases.push_back(make("single_at_0", kEdge, {.segments = one_segment(1, 0), .capacity = 1}));
  cases.push_back(make("single_at_6", kEdge, {.segments = one_segment(1, 6), .capacity = 1}));
  cases.push_back(make("single_odd_sizes", kEdge,
                       {.vectors = Format::bf16,
                        .d_model = 7,
                        .d_inner = 13,
                        .segments = one_segment(1, 6),
                        .capacity = 1}));
  for (std::int64_t d_conv : {1, 2, 9})
    cases.push_back(make("single_" + std::to_string(d_conv) + "_taps", kEdge,
                         {.d_conv = d_conv, .segments = in_place(1), .capacity = 1}));
  cases.push_back(make("single_without_norm", kEdge,
                       {.segments = one_segment(1, 6), .capacity = 1, .norm = false}));
  for (std::uint32_t n : {1U, 2U})
    cases.push_back(make(n == 1 ? "model_single" : "model", kModel | kBench,
                         {.format = Format::q4_g64,
                          .d_model = 2560,
                          .d_inner = 7680,
                          .segments = one_segment(n, 100),
                          .capacity = n == 1 ? 1 : 0}));
  return cases;
}

}  // namespace bitaxon::test
