#include <cmath>

#include "cases/errors.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;
  /// The format of k if `mixed` is set. Then q has `format`, and v has f16.
  Format k_format = Format::f32;
  bool mixed = false;
  DType ring = DType::f32;
  std::int64_t d_model = 64;
  std::int64_t ring_rows = 45;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  bool norm = true;
  double x_spread = 1;
};

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const std::int64_t d = spec.d_model;
  const double spread = 1 / std::sqrt(static_cast<double>(d));
  const auto x = p.add_input(d, spec.x_spread);
  const auto norm = p.add_weight(Format::f32, {1, 1, d}, 0.3, 1);
  const auto q = p.add_weight(spec.format, {1, d, d}, spread);
  const auto k = p.add_weight(spec.mixed ? spec.k_format : spec.format, {1, d, d}, spread);
  const auto v = p.add_weight(spec.mixed ? Format::f16 : spec.format, {1, d, d}, spread);
  const auto keys = p.add_ring(spec.ring, {spec.ring_rows, d});
  const auto values = p.add_ring(spec.ring, {spec.ring_rows, d});
  p.errors = [=](const OpProblem& problem) {
    const auto rows = normed_rows(problem, x, spec.norm ? std::optional(norm) : std::nullopt, 1e-6);
    ResultErrors errors = linear_errors(problem, rows, q, {});
    // The op writes each row of k and v into a ring (a ring buffer of the KV cache). Every such row
    // is a result of its own.
    for (const std::size_t projection : {k, v}) {
      const auto all = linear_errors(problem, rows, projection, {})[0];
      for (auto row = all.begin(); row != all.end(); row += d) errors.push_back({row, row + d});
    }
    return errors;
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {attn_in(h.inputs[x],
                    {.norm = spec.norm ? h.weights[norm] : Tensor(),
                     .q = h.weights[q],
                     .k = h.weights[k],
                     .v = h.weights[v]},
                    1e-6F, h.states[keys], h.states[values])};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "float32 sums of D products, in any order"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

/// One row at `position`, in a bucket of one row, as in decode.
Spec one_row(std::uint32_t position, Spec spec = {}) {
  spec.segments = one_segment(1, position);
  spec.capacity = 1;
  return spec;
}

void add_decoding(std::vector<OpCase>& cases) {
  for (Format format : kEveryFormat)
    cases.push_back(make("one_row_format_" + std::string(name_of(format)), tags_of(format),
                         one_row(44, {.format = format, .ring = DType::f16, .d_model = 128})));
  cases.push_back(make("one_row_f32", kPlain, one_row(45)));
  cases.push_back(make("one_row_of_three_formats", kEdge,
                       one_row(100, {.format = Format::q4_g64,
                                     .k_format = Format::nf4_g64,
                                     .mixed = true,
                                     .ring = DType::f16,
                                     .d_model = 128})));
  cases.push_back(make("one_row_without_norm", kEdge, one_row(0, {.norm = false})));
  for (std::int64_t d : {1, 2, 6, 13, 30, 67})
    for (DType ring : {DType::f32, DType::f16})
      cases.push_back(make("one_row_of_" + std::to_string(d) + "_" + std::string(name_of(ring)),
                           kEdge, one_row(58, {.ring = ring, .d_model = d})));
  cases.push_back(make("one_row_at_largest_position", kEdge, one_row(0xFFFFFFF0U)));
  cases.push_back(
      make("one_row_tiny_values_f16", kEdge,
           one_row(3, {.ring = DType::f16, .d_model = 256, .norm = false, .x_spread = 1e-6})));
  cases.push_back(
      make("one_row_f16_overflows", kEdge,
           one_row(3, {.ring = DType::f16, .d_model = 256, .norm = false, .x_spread = 6e4})));
}

/// With an odd number of float16 columns, the last word of a row may also hold the first element of
/// the next row. A step writes both of these rows or only one of them.
void add_odd_half_rows(std::vector<OpCase>& cases) {
  for (std::int64_t d : {1, 3, 13})
    for (std::uint32_t position : {0U, 1U, 42U, 43U})
      cases.push_back(
          make("odd_f16_" + std::to_string(d) + "_at_" + std::to_string(position), kEdge,
               {.ring = DType::f16, .d_model = d, .segments = one_segment(7, position)}));
  cases.push_back(make("odd_f16_three_segments", kEdge,
                       {.ring = DType::f16, .d_model = 13, .segments = three_segments()}));
  cases.push_back(make("odd_f16_fills_ring", kEdge,
                       {.ring = DType::f16,
                        .d_model = 5,
                        .ring_rows = 9,
                        .segments = one_segment(9, 5),
                        .capacity = 9}));
}

}  // namespace

std::vector<OpCase> attn_in_cases() {
  std::vector<OpCase> cases;
  for (Format format : kEveryFormat)
    cases.push_back(make("format_" + std::string(name_of(format)), tags_of(format),
                         {.format = format, .d_model = 128}));
  for (std::uint32_t n : {1U, 2U, 5U, 16U, 33U})
    for (DType ring : {DType::f32, DType::f16})
      cases.push_back(make("rows_" + std::to_string(n) + "_" + std::string(name_of(ring)), kPlain,
                           {.ring = ring, .ring_rows = 80, .segments = one_segment(n, 3)}));
  cases.push_back(make("last_place_of_ring", kEdge, {.segments = one_segment(1, 44)}));
  cases.push_back(make("first_place_again", kEdge, {.segments = one_segment(1, 45)}));
  cases.push_back(make("wraps_within_step", kEdge, {.segments = one_segment(5, 43)}));
  cases.push_back(
      make("wraps_for_the_hundredth_time", kEdge, {.segments = one_segment(5, 45 * 100 - 2)}));
  cases.push_back(make("step_fills_ring", kEdge,
                       {.ring_rows = 8, .segments = one_segment(8, 5), .capacity = 8}));
  cases.push_back(make("largest_position", kEdge, {.segments = one_segment(3, 0xFFFFFF00U)}));
  cases.push_back(make("odd_sizes", kEdge, {.d_model = 13, .segments = three_segments()}));
  cases.push_back(make("three_segments", kEdge, {.segments = three_segments()}));
  cases.push_back(make("without_norm", kEdge, {.segments = three_segments(), .norm = false}));
  cases.push_back(make("large_values", kEdge, {.norm = false, .x_spread = 1e18}));
  cases.push_back(make("tiny_values", kEdge, {.norm = false, .x_spread = 1e-18}));
  cases.push_back(
      make("tiny_values_f16", kEdge, {.ring = DType::f16, .norm = false, .x_spread = 1e-6}));
  cases.push_back(
      make("f16_overflows", kEdge, {.ring = DType::f16, .norm = false, .x_spread = 1e9}));
  add_decoding(cases);
  add_odd_half_rows(cases);
  cases.push_back(make("model_one_row", kModel | kBench,
                       one_row(5000, {.format = Format::q4_g64,
                                      .ring = DType::f16,
                                      .d_model = 2560,
                                      .ring_rows = 4096 + 512 + 2})));
  cases.push_back(make("model", kModel | kBench,
                       {.format = Format::q4_g64,
                        .ring = DType::f16,
                        .d_model = 2560,
                        .ring_rows = 4096 + 512 + 2,
                        .segments = one_segment(2, 5000)}));
  return cases;
}

}  // namespace bitaxon::test
