#include <cmath>
#include <optional>

#include "cases/errors.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;   ///< the format of in_proj
  Format vectors = Format::f32;  ///< the format of all other weights
  std::int64_t d_model = 64;
  std::int64_t d_inner = 96;
  std::int64_t d_conv = 4;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  bool norm = true;
  bool in_bias = false;
  bool conv_bias = true;
  double x_spread = 1;
};

/// Element e of row r of v in a segment. A negative r means a row of the tail, which is a state
/// tensor and has no error.
Rounded row_of_v(const OpProblem& p, const Spec& spec, std::size_t tail, std::span<const Rounded> v,
                 const SegmentWords& segment, std::int64_t r, std::int64_t e) {
  if (r >= 0) return v[static_cast<std::size_t>((segment.first_row + r) * 2 * spec.d_inner + e)];
  if (segment.position == 0) return {};
  const auto* from =
      reinterpret_cast<const float*>(p.state_bytes(tail, segment.slot, segment.read_version));
  return {static_cast<double>(from[(spec.d_conv - 1 + r) * spec.d_inner + e])};
}

ResultErrors errors_of(const OpProblem& p, const Spec& spec, std::span<const Rounded> vz,
                       std::size_t taps_at, std::optional<std::size_t> bias_at, std::size_t tail) {
  const std::vector<float> taps = values_of(p.weights()[taps_at]);
  const std::vector<float> bias = bias_at
                                      ? values_of(p.weights()[*bias_at])
                                      : std::vector<float>(static_cast<std::size_t>(spec.d_inner));
  const std::int64_t n_before = spec.d_conv - 1;
  ResultErrors errors(2);  // the errors of u and of z
  for (const SegmentWords& segment : p.segments()) {
    for (std::int64_t r = 0; r < segment.n_rows; ++r)
      for (std::int64_t e = 0; e < spec.d_inner; ++e) {
        Sum sum;
        sum.add({static_cast<double>(bias[static_cast<std::size_t>(e)])});
        for (std::int64_t k = 0; k < spec.d_conv; ++k)
          sum.add(
              row_of_v(p, spec, tail, vz, segment, r - n_before + k, e) *
              Rounded{static_cast<double>(taps[static_cast<std::size_t>(e * spec.d_conv + k)])});
        errors[0].push_back(allowed_of(silu_of(sum.result())));
        errors[1].push_back(allowed_of(vz[static_cast<std::size_t>(
            (segment.first_row + r) * 2 * spec.d_inner + spec.d_inner + e)]));
      }
    if (segment.keeps_state == 0) continue;
    std::vector<double>& kept = errors.emplace_back();
    for (std::int64_t j = 0; j < n_before; ++j)
      for (std::int64_t e = 0; e < spec.d_inner; ++e)
        kept.push_back(
            row_of_v(p, spec, tail, vz, segment, segment.n_rows - n_before + j, e).allowed());
  }
  return errors;
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const std::int64_t d = spec.d_model;
  const std::int64_t e = spec.d_inner;
  const auto x = p.add_input(d, spec.x_spread);
  const auto norm = p.add_weight(spec.vectors, {1, 1, d}, 0.3, 1);
  const auto in_proj =
      p.add_weight(spec.format, {1, 2 * e, d}, 1 / std::sqrt(static_cast<double>(d)));
  const auto taps = p.add_weight(spec.vectors, {1, e, spec.d_conv}, 0.5);
  const auto bias = spec.conv_bias ? p.add_weight(spec.vectors, {1, 1, e}, 0.3) : 0;
  const auto in_bias = spec.in_bias ? p.add_weight(spec.vectors, {1, 1, 2 * e}, 0.5) : 0;
  const auto tail = p.add_state(DType::f32, {spec.d_conv - 1, e});
  p.fill_state(tail, spec.norm ? 1 : spec.x_spread);
  p.errors = [=](const OpProblem& problem) {
    std::vector<Rounded> vz =
        products(problem.weights()[in_proj],
                 normed_rows(problem, x, spec.norm ? std::optional(norm) : std::nullopt, 1e-6));
    if (spec.in_bias) add_bias(problem.weights()[in_bias], vz);
    // The reference rounds these values when it stores them.
    for (Rounded& value : vz) value = rounded(value);
    return errors_of(problem, spec, vz, taps, spec.conv_bias ? std::optional(bias) : std::nullopt,
                     tail);
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    const auto [u, z] = ssm_in(h.inputs[x],
                               {.norm = spec.norm ? h.weights[norm] : Tensor(),
                                .in_proj = h.weights[in_proj],
                                .in_bias = spec.in_bias ? h.weights[in_bias] : Tensor(),
                                .conv_weight = h.weights[taps],
                                .conv_bias = spec.conv_bias ? h.weights[bias] : Tensor()},
                               1e-6F, h.states[tail]);
    return {u, z};
  };
}

std::vector<CaseSegment> in_place(std::uint32_t n_rows) {
  return {{.slot = 1, .n_rows = n_rows, .position = 9, .read_version = 2, .write_version = 2}};
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "float32 sums of D and of K products in any order, and a SiLU"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> ssm_in_cases() {
  std::vector<OpCase> cases;
  for (Format format : kEveryFormat)
    cases.push_back(make("format_" + std::string(name_of(format)), tags_of(format),
                         {.format = format, .d_model = 128}));
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
  cases.push_back(make("ending_segments", kEdge, {.segments = ending_segments()}));
  cases.push_back(make("single_ending", kEdge,
                       {.segments = {{.position = 6, .keeps_state = false}}, .capacity = 1}));
  cases.push_back(make("without_norm", kEdge, {.segments = three_segments(), .norm = false}));
  cases.push_back(make("large_values", kEdge, {.norm = false, .x_spread = 1e15}));
  cases.push_back(make("tiny_values", kEdge, {.norm = false, .x_spread = 1e-15}));
  // The segment reads and writes the same version. It has fewer rows than the state, or more rows.
  for (std::uint32_t n : {2U, 7U})
    cases.push_back(make("in_place_" + std::to_string(n), kEdge, {.segments = in_place(n)}));
  cases.push_back(make("long_segments", kEdge, {.segments = long_segments()}));
  // These cases have one row in a bucket of one row.
  for (Format format : kEveryFormat)
    cases.push_back(
        make("single_" + std::string(name_of(format)), tags_of(format),
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
  for (std::uint32_t n : {1U, 5U, 33U}) {
    const std::string rows = "_rows_" + std::to_string(n);
    const std::int64_t capacity = n == 1 ? 1 : 0;
    cases.push_back(make("with_in_bias" + rows, kEdge,
                         {.segments = one_segment(n, 6), .capacity = capacity, .in_bias = true}));
    cases.push_back(
        make("without_conv_bias" + rows, kEdge,
             {.segments = one_segment(n, 6), .capacity = capacity, .conv_bias = false}));
    cases.push_back(make("three_taps_odd_sizes_with_in_bias" + rows, kEdge,
                         {.vectors = Format::f16,
                          .d_model = 7,
                          .d_inner = 13,
                          .d_conv = 3,
                          .segments = one_segment(n, 1),
                          .capacity = capacity,
                          .norm = false,
                          .in_bias = true,
                          .conv_bias = false}));
  }
  cases.push_back(make("segments_with_in_bias", kEdge,
                       {.format = Format::q4_g32,
                        .segments = three_segments(),
                        .in_bias = true,
                        .conv_bias = false}));
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
