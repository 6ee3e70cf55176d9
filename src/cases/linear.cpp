#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "cases/errors.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;
  std::int64_t rows = 96;
  std::int64_t cols = 256;
  std::int64_t columns_beyond = 0;  ///< columns of x that the product does not read
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  double x_spread = 1;
  bool norm = false;
  float eps = 1e-6F;
  bool bias = false;
  bool residual = false;
  RowSelect select = RowSelect::all;
  RowSpace x_space = RowSpace::rows;
  std::vector<float> x = {};  ///< the input; random if empty
};

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const double spread = 1 / std::sqrt(static_cast<double>(spec.cols));
  const auto weight = p.add_weight(spec.format, {1, spec.rows, spec.cols}, spread);
  const std::int64_t row[] = {spec.cols};
  const auto x = spec.x.empty()
                     ? p.add_input(spec.cols + spec.columns_beyond, spec.x_spread, spec.x_space)
                     : p.add_input<float>(row, spec.x, spec.x_space);
  const auto norm = spec.norm ? p.add_weight(Format::f32, {1, 1, spec.cols}, 0.3, 1) : 0;
  const auto residual =
      spec.residual ? p.add_input(spec.rows, spec.norm ? 1 : spec.x_spread, spec.x_space) : 0;
  const auto bias = spec.bias ? p.add_weight(Format::f32, {1, 1, spec.rows}, 1) : 0;
  p.errors = [=](const OpProblem& problem) {
    auto rows = normed_rows(problem, x, spec.norm ? std::optional(norm) : std::nullopt,
                            static_cast<double>(spec.eps), static_cast<std::size_t>(spec.cols));
    if (spec.select == RowSelect::outputs) {
      std::vector<NormedRow> selected;
      for (std::uint32_t o = 0; o < problem.step.n_outputs; ++o)
        selected.push_back(rows[problem.step.output_rows[o]]);
      rows = std::move(selected);
    }
    return linear_errors(problem, rows, weight,
                         spec.residual ? std::optional(residual) : std::nullopt,
                         spec.bias ? std::optional(bias) : std::nullopt);
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    LinearOptions options;
    options.select = spec.select;
    options.n_outputs = h.n_outputs;
    if (spec.norm) {
      options.norm = h.weights[norm];
      options.eps = spec.eps;
    }
    if (spec.bias) options.bias = h.weights[bias];
    if (spec.residual) options.residual = h.inputs[residual];
    return {linear(h.inputs[x], h.weights[weight], options)};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "float32 sums of products, in any order",
           std::ranges::any_of(spec.x, [](float x) { return std::isnan(x); })},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

void add_model_cases(std::vector<OpCase>& cases) {
  cases.push_back(make("model_out_proj", kModel | kBench,
                       {.format = Format::f16,
                        .rows = 2560,
                        .cols = 7680,
                        .segments = one_segment(1, 9),
                        .residual = true}));
  for (Format format : {Format::q4_g64, Format::nf4_g64})
    cases.push_back(make("model_in_proj_" + std::string(name_of(format)), kModel | kBench,
                         {.format = format,
                          .rows = 7680,
                          .cols = 2560,
                          .segments = one_segment(1, 9),
                          .capacity = 1}));
  cases.push_back(make("model_lm_head", kModel | kBench,
                       {.format = Format::q4_g64,
                        .rows = 32000,
                        .cols = 2048,
                        .segments = one_segment(1, 9),
                        .x_space = RowSpace::outputs}));
  cases.push_back(
      make("model_x_proj", kModel,
           {.format = Format::nf4_g64, .rows = 33, .cols = 7680, .segments = one_segment(3, 9)}));
}

/// Cases with a bias, and with an x of more columns than the weight. Backends use one kernel for few
/// rows and another for many rows.
void add_bias_cases(std::vector<OpCase>& cases) {
  for (std::uint32_t n : {1U, 5U, 33U, 70U})
    for (Format format : {Format::f16, Format::q4_g64, Format::nf4_nested})
      cases.push_back(make(fmt::format("bias_{}_rows_{}", n, name_of(format)),
                           format == Format::f16 && n < 70 ? kEdge : kEdge | kExhaustive,
                           {.format = format,
                            .rows = 70,
                            .cols = 192,
                            .segments = one_segment(n, 0),
                            .norm = true,
                            .bias = true,
                            .residual = true}));
  for (std::uint32_t n : {1U, 5U, 33U}) {
    const std::string rows = "_rows_" + std::to_string(n);
    const auto segments = one_segment(n, 0);
    const unsigned tags = n == 5 ? kEdge | kExhaustive : kEdge;
    for (Format format : {Format::f32, Format::q4_g64})
      cases.push_back(make(
          fmt::format("wide_x{}_{}", rows, name_of(format)), tags,
          {.format = format, .rows = 33, .cols = 64, .columns_beyond = 32, .segments = segments}));
    cases.push_back(make("wide_x_normed" + rows, tags,
                         {.format = Format::f16,
                          .rows = 70,
                          .cols = 48,
                          .columns_beyond = 32,
                          .segments = segments,
                          .norm = true,
                          .bias = true}));
    cases.push_back(make("wide_x_odd_sizes" + rows, kEdge,
                         {.rows = 13,
                          .cols = 37,
                          .columns_beyond = 5,
                          .segments = segments,
                          .norm = true,
                          .bias = true,
                          .residual = true}));
    // The number of columns that are read is a multiple of 4, but the width of x is not.
    for (bool norm : {false, true})
      cases.push_back(
          make((norm ? "wide_x_unaligned_normed" : "wide_x_unaligned") + rows, tags,
               {.rows = 17, .cols = 8, .columns_beyond = 6, .segments = segments, .norm = norm}));
  }
  cases.push_back(make("wide_x_unaligned_q4", kEdge,
                       {.format = Format::q4_g32, .rows = 17, .cols = 64, .columns_beyond = 3}));
  for (bool norm : {false, true})
    cases.push_back(make(norm ? "wide_x_normed_outputs" : "wide_x_outputs", kEdge,
                         {.cols = 36,
                          .columns_beyond = 7,
                          .segments = mixed_segments(),
                          .norm = norm,
                          .bias = true,
                          .select = RowSelect::outputs}));
  cases.push_back(make("model_dt_proj", kModel,
                       {.format = Format::q4_g64,
                        .rows = 8192,
                        .cols = 256,
                        .columns_beyond = 32,
                        .segments = one_segment(3, 9),
                        .norm = true}));
}

}  // namespace

std::vector<OpCase> linear_cases() {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  std::vector<OpCase> cases;
  for (Format format : kEveryFormat)
    cases.push_back(make("format_" + std::string(name_of(format)), tags_of(format),
                         {.format = format, .norm = true, .residual = true}));
  for (Format format : {Format::q8_g32, Format::q8_g128, Format::fp4_g64, Format::nvfp4_nested})
    cases.push_back(make("format_" + std::string(name_of(format)), kEdge,
                         {.format = format, .norm = true, .residual = true}));
  for (std::uint32_t n : {1U, 2U, 5U, 16U, 33U})
    cases.push_back(make("rows_" + std::to_string(n), kPlain, {.segments = one_segment(n, 0)}));
  // Backends choose kernels by the size of the bucket. In each bucket, the last rows are not valid.
  for (Format format :
       {Format::f16, Format::q4_g64, Format::nf4_nested, Format::q8_g64, Format::nvfp4})
    for (std::uint32_t bucket : {1U, 2U, 4U, 8U, 16U, 32U, 128U}) {
      // Every mode has products of many rows, with the tiles of each device.
      const unsigned many = bucket == 128 ? tags_of(format) : unsigned{kPlain};
      const unsigned tags = format == Format::f16 || many != kPlain ? many : unsigned{kExhaustive};
      cases.push_back(make(fmt::format("bucket_{}_{}", bucket, name_of(format)), kEdge | tags,
                           {.format = format,
                            .rows = 70,
                            .cols = 192,
                            .segments = one_segment(bucket - bucket / 4, 0),
                            .capacity = bucket,
                            .norm = true,
                            .residual = true}));
    }
  cases.push_back(make("full_bucket", kEdge, {.segments = one_segment(16, 0), .capacity = 16}));
  cases.push_back(make("most_rows", kEdge,
                       {.rows = 5, .cols = 16, .segments = one_segment(512, 0), .capacity = 512}));
  cases.push_back(make(
      "wide", kEdge, {.rows = 1024, .cols = 40, .segments = one_segment(33, 0), .residual = true}));
  cases.push_back(make("one_element", kEdge, {.rows = 1, .cols = 1, .norm = true}));
  cases.push_back(
      make("odd_sizes", kEdge, {.rows = 13, .cols = 37, .norm = true, .residual = true}));
  cases.push_back(make("odd_sizes_bf16", kEdge, {.format = Format::bf16, .rows = 63, .cols = 129}));
  cases.push_back(make("odd_rows_of_8_bits", kEdge,
                       {.format = Format::q8_rows, .rows = 13, .cols = 37, .norm = true}));
  cases.push_back(make("rows_of_8_bits_in_blocks_of_32", kEdge,
                       {.format = Format::q8_rows, .rows = 33, .cols = 96, .norm = true}));
  cases.push_back(make("groups_of_32_across_rows", kEdge,
                       {.format = Format::nf4_g64, .rows = 33, .cols = 160, .norm = true}));
  for (Format format : {Format::nf4_g64, Format::nf4_nested})
    cases.push_back(make("blocks_across_rows_" + std::string(name_of(format)), kEdge,
                         {.format = format, .rows = 13, .cols = 37, .norm = true}));
  for (Format format : {Format::nf4_g8, Format::nf4_g24})
    cases.push_back(make("short_blocks_" + std::string(name_of(format)), kEdge,
                         {.format = format, .rows = 33, .cols = 120, .norm = true}));
  cases.push_back(make("one_group", kEdge, {.format = Format::q4_g128, .rows = 3, .cols = 128}));
  for (double spread : {1e18, 1e-18}) {
    const std::string size = spread > 1 ? "large" : "tiny";
    cases.push_back(make(size + "_values", kEdge, {.x_spread = spread, .residual = true}));
    cases.push_back(make(size + "_values_normed", kEdge, {.x_spread = spread, .norm = true}));
  }
  cases.push_back(make("eps_dominates", kEdge, {.x_spread = 1e-3, .norm = true, .eps = 10}));
  cases.push_back(make("zero_rows_normed", kEdge,
                       {.cols = 64, .norm = true, .x = std::vector<float>(5 * 64, 0.0F)}));
  cases.push_back(
      make("infinity", kEdge,
           {.rows = 17, .cols = 3, .x = {1, kInf, 2, 1, -kInf, 2, 3, 2, 1, -1, 0, 1, kInf, 1, 1}}));
  std::vector<float> with_nan(5 * 128, 0.5F);
  with_nan[128 + 77] = std::numeric_limits<float>::quiet_NaN();
  for (Format format : {Format::f16, Format::q4_g64, Format::nf4_g64, Format::q8_rows})
    cases.push_back(make("nan_" + std::string(name_of(format)), kEdge,
                         {.format = format, .rows = 17, .cols = 128, .x = with_nan}));
  cases.push_back(make("three_segments", kPlain, {.segments = three_segments(), .residual = true}));
  cases.push_back(make("last_of_three_segments", kEdge,
                       {.segments = three_segments(), .norm = true, .select = RowSelect::outputs}));
  cases.push_back(make("outputs_of_mixed_segments", kEdge,
                       {.segments = mixed_segments(), .norm = true, .select = RowSelect::outputs}));
  cases.push_back(make("last_of_one_row", kEdge,
                       {.segments = one_segment(1, 0), .select = RowSelect::outputs}));
  cases.push_back(
      make("segments_in", kPlain, {.segments = three_segments(), .x_space = RowSpace::outputs}));
  add_bias_cases(cases);
  add_model_cases(cases);
  return cases;
}

}  // namespace bitaxon::test
