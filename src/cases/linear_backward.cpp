#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "bitaxon/training_ops.h"
#include "cases/errors.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;
  std::int64_t rows = 96;
  std::int64_t cols = 256;
  std::int64_t columns_beyond = 0;  ///< columns of x that the product has not read
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  double spread = 1;
  RowSpace space = RowSpace::rows;
  std::vector<float> g_y = {};  ///< the gradients; random if empty
};

/// The allowed errors of g_y @ W.
ResultErrors errors_of(const OpProblem& p, std::size_t g_y, std::size_t weight,
                       std::int64_t width) {
  const auto n_out = static_cast<std::size_t>(p.weights()[weight].desc.rows);
  const auto cols = static_cast<std::size_t>(p.weights()[weight].desc.cols);
  // The transposed weight: a row of it is a column of the weight.
  std::vector<float> values(n_out * cols);
  std::vector<float> offsets;
  int roundings = 0;
  WeightRows decoded(p.weights()[weight]);
  for (std::size_t o = 0; o < n_out; ++o) {
    const WeightRow row = decoded.row(static_cast<std::int64_t>(o));
    roundings = row.roundings;
    if (!row.offsets.empty()) offsets.resize(values.size());
    for (std::size_t c = 0; c < cols; ++c) {
      values[c * n_out + o] = row.values[c];
      if (!offsets.empty()) offsets[c * n_out + o] = row.offsets[c];
    }
  }
  const auto n_rows = static_cast<std::size_t>(p.valid_rows(p.inputs()[g_y].row_space));
  std::vector<double> allowed(n_rows * static_cast<std::size_t>(width));
  for (std::size_t r = 0; r < n_rows; ++r) {
    std::vector<Rounded> row;
    for (const float g : input_row(p, g_y, static_cast<std::int64_t>(r))) row.push_back({g});
    for (std::size_t c = 0; c < cols; ++c) {
      WeightRow column{std::span(values).subspan(c * n_out, n_out), {}, roundings};
      if (!offsets.empty()) column.offsets = std::span(offsets).subspan(c * n_out, n_out);
      allowed[r * static_cast<std::size_t>(width) + c] = allowed_of(product(column, row));
    }
  }
  return {allowed};
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const double spread = 1 / std::sqrt(static_cast<double>(spec.rows));
  const auto weight = p.add_weight(spec.format, {1, spec.rows, spec.cols}, spread);
  const std::int64_t row[] = {spec.rows};
  const auto g_y = spec.g_y.empty() ? p.add_input(spec.rows, spec.spread, spec.space)
                                    : p.add_input<float>(row, spec.g_y, spec.space);
  const std::int64_t width = spec.cols + spec.columns_beyond;
  p.errors = [=](const OpProblem& problem) { return errors_of(problem, g_y, weight, width); };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {linear_backward(h.inputs[g_y], h.weights[weight], width)};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  bool has_nan = false;
  for (const float g : spec.g_y) has_nan = has_nan || std::isnan(g);
  return {std::move(label),
          tags,
          {0, "float32 sums of products, in any order", has_nan},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

void add_shapes(std::vector<OpCase>& cases) {
  for (std::uint32_t n : {1U, 2U, 16U, 33U, 70U})
    cases.push_back(make("rows_" + std::to_string(n), kPlain, {.segments = one_segment(n, 0)}));
  for (Format format : {Format::f16, Format::q4_g64, Format::nf4_nested})
    cases.push_back(make(fmt::format("many_rows_{}", name_of(format)), kEdge,
                         {.format = format,
                          .rows = 70,
                          .cols = 192,
                          .segments = one_segment(100, 0),
                          .capacity = 128}));
  cases.push_back(make("one_element", kEdge,
                       {.rows = 1, .cols = 1, .segments = one_segment(1, 0), .capacity = 1}));
  cases.push_back(make("odd_sizes", kEdge, {.rows = 13, .cols = 37, .columns_beyond = 3}));
  cases.push_back(make("odd_sizes_bf16", kEdge, {.format = Format::bf16, .rows = 63, .cols = 129}));
  cases.push_back(
      make("odd_rows_of_8_bits", kEdge, {.format = Format::q8_rows, .rows = 13, .cols = 37}));
  for (Format format : {Format::nf4_g64, Format::nf4_nested})
    cases.push_back(make("blocks_across_rows_" + std::string(name_of(format)), kEdge,
                         {.format = format, .rows = 13, .cols = 37}));
  cases.push_back(make("groups_of_32_across_rows", kEdge,
                       {.format = Format::nf4_g64, .rows = 33, .cols = 160}));
  cases.push_back(
      make("short_blocks", kEdge, {.format = Format::nf4_g24, .rows = 33, .cols = 120}));
  cases.push_back(make("wide_x", kEdge,
                       {.format = Format::q4_g64, .rows = 33, .cols = 64, .columns_beyond = 32}));
  cases.push_back(make("three_segments", kEdge, {.segments = three_segments()}));
  cases.push_back(
      make("outputs", kEdge, {.segments = mixed_segments(), .space = RowSpace::outputs}));
  cases.push_back(make("most_rows", kEdge,
                       {.rows = 5, .cols = 16, .segments = one_segment(512, 0), .capacity = 512}));
  cases.push_back(make("tall", kEdge, {.rows = 1030, .cols = 20, .segments = one_segment(9, 0)}));
  std::vector<float> with_nan(5 * 17, 0.5F);
  with_nan[17 + 7] = std::numeric_limits<float>::quiet_NaN();
  for (Format format : {Format::f16, Format::q4_g64})
    cases.push_back(make("nan_" + std::string(name_of(format)), kEdge,
                         {.format = format, .rows = 17, .cols = 128, .g_y = with_nan}));
}

}  // namespace

std::vector<OpCase> linear_backward_cases() {
  std::vector<OpCase> cases;
  for (Format format : kEveryFormat)
    cases.push_back(
        make("format_" + std::string(name_of(format)), tags_of(format), {.format = format}));
  for (Format format : {Format::q8_g32, Format::fp4_g64, Format::nvfp4_nested})
    cases.push_back(make("format_" + std::string(name_of(format)), kEdge, {.format = format}));
  add_shapes(cases);
  for (Format format : {Format::f16, Format::q4_g64, Format::nf4_g64})
    cases.push_back(make(fmt::format("model_{}", name_of(format)), kModel | kBench,
                         {.format = format,
                          .rows = 1024,
                          .cols = 1024,
                          .segments = one_segment(128, 0),
                          .capacity = 128}));
  cases.push_back(make("model_32_rows", kModel | kBench,
                       {.format = Format::q4_g64,
                        .rows = 2560,
                        .cols = 1024,
                        .segments = one_segment(32, 0),
                        .capacity = 32}));
  cases.push_back(make("model_lm_head", kModel,
                       {.format = Format::q4_g64,
                        .rows = 32000,
                        .cols = 2048,
                        .segments = one_segment(1, 9),
                        .space = RowSpace::outputs}));
  return cases;
}

}  // namespace bitaxon::test
