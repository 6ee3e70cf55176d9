#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bitaxon/ops.h"
#include "vulkan/device/self_test.h"
#include "vulkan/device/trial.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::int64_t kCols = 224;  // whole groups of codes
constexpr std::int64_t kOuts = 144;
/// The largest relative errors (L2). In fast precision, factors may be rounded to 11 bits.
constexpr double kExactTolerance = 1e-5;
constexpr double kFastTolerance = 2e-3;

double tolerance_of(Precision precision) {
  return precision == Precision::exact ? kExactTolerance : kFastTolerance;
}

/// A weight of affine codes with this many bits, so small that its products have the size of x.
TrialWeight affine(std::int64_t n_matrices, std::int64_t rows, std::int64_t cols, int bits,
                   Numbers& numbers) {
  return random_weight({.name = "self-test",
                        .format = WeightFormat::affine,
                        .n_matrices = n_matrices,
                        .rows = rows,
                        .cols = cols,
                        .dtype = DType::f16,
                        .bits = bits},
                       numbers, bits == 4 ? 1.F / 64 : 1.F / 1024);
}

/// Compares what `results` computes in both precisions with expected numbers. Describes the first result
/// that is wrong, or returns an empty string.
std::string problem_beside(const std::vector<float>& expected, const std::string& what,
                           const std::function<std::vector<float>(Precision)>& results) {
  for (const Precision precision : {Precision::exact, Precision::fast}) {
    const double error = relative_error(results(precision), expected);
    if (!(error <= tolerance_of(precision)))  // also for NaN
      return fmt::format("{} is off by {:.2g} (relative L2), at most {:.2g} is expected", what,
                         error, tolerance_of(precision));
  }
  return "";
}

/// Compares the products of few rows with sums of decoded weights.
std::string product_problem(Backend& backend, const TrialWeight& stored, std::uint32_t n_rows,
                            Numbers& numbers) {
  constexpr auto n_cols = static_cast<std::size_t>(kCols);
  const auto weight = backend.pack(stored.desc, stored.parts());
  std::vector<float> values(static_cast<std::size_t>(kOuts) * n_cols);
  decode(stored.desc, stored.parts(), 0, values);
  std::vector<float> x(n_rows * n_cols);
  for (float& value : x) value = numbers.next();
  std::vector<float> expected;
  for (std::size_t row = 0; row < n_rows; ++row)
    for (std::size_t out = 0; out < static_cast<std::size_t>(kOuts); ++out) {
      double sum = 0;
      for (std::size_t c = 0; c < n_cols; ++c)
        sum += static_cast<double>(values[out * n_cols + c]) *
               static_cast<double>(x[row * n_cols + c]);
      expected.push_back(static_cast<float>(sum));
    }
  return problem_beside(
      expected, fmt::format("a product of {} and {} rows", stored.desc.format_name(), n_rows),
      [&](Precision precision) { return multiply(backend, weight, x, n_rows, n_rows, precision); });
}

/// A graph whose kernels multiply by affine codes, beside its name in messages.
struct Layer {
  const char* name;
  Trial trial;
  std::size_t n_results;
};

/// Builds the graph of a layer in a trial. Its matrices have codes of `bits` bits.
class LayerBuilder {
 public:
  LayerBuilder(Backend& backend, int bits, std::uint32_t n_rows, Numbers& numbers)
      : backend_(backend), bits_(bits), n_rows_(n_rows), numbers_(numbers) {
    trial.set_rows(n_rows);
  }

  Tensor rows_of_x() {
    return trial.input(DType::f32, {n_rows_, kCols},
                       random_floats(DType::f32, bytes_of(n_rows_ * kCols), numbers_));
  }
  Tensor coded(std::int64_t n_matrices, std::int64_t rows, std::int64_t cols) {
    return pack(affine(n_matrices, rows, cols, bits_, numbers_));
  }
  Tensor floats(std::int64_t rows, std::int64_t cols) {
    return pack(random_weight({.name = "self-test",
                               .format = WeightFormat::dense,
                               .rows = rows,
                               .cols = cols,
                               .dtype = DType::f32},
                              numbers_, 0.25F));
  }
  /// State that every sequence has, or pages, with these elements. The layout already has it.
  Tensor state() {
    trial.state.push_back(random_floats(trial.layout.tensors.back().dtype,
                                        trial.layout.tensors.back().size_bytes, numbers_));
    return trial.graph->state(trial.layout, static_cast<std::int32_t>(trial.state.size()) - 1);
  }
  Layer layer(const char* name, const Tensor& output, std::int64_t width) {
    trial.set_output(output);
    return {name, std::move(trial), static_cast<std::size_t>(n_rows_ * width)};
  }

  Trial trial;

 private:
  static std::uint64_t bytes_of(std::int64_t n) {
    return static_cast<std::uint64_t>(n) * sizeof(float);
  }
  Tensor pack(const TrialWeight& weight) {
    return trial.graph->weight(backend_.pack(weight.desc, weight.parts()));
  }

  Backend& backend_;
  int bits_;
  std::int64_t n_rows_;
  Numbers& numbers_;
};

constexpr float kEps = 1e-6F;

/// The input half of a layer with a scan.
Layer scan_layer(LayerBuilder build) {
  constexpr std::int64_t kTaps = 4;
  build.trial.layout.add("tail", DType::f32, {kTaps - 1, kOuts}, 1);
  const Tensor tail = build.state();
  build.trial.step.segments[0].position = 7;
  const auto in = ssm_in(build.rows_of_x(),
                         {.norm = build.floats(1, kCols),
                          .in_proj = build.coded(1, 2 * kOuts, kCols),
                          .conv_weight = build.floats(kOuts, kTaps)},
                         kEps, tail);
  return build.layer("the input of a scan", in.u, kOuts);
}

/// Queries, keys and values, and the attention that reads them.
Layer attention_layer(LayerBuilder build) {
  constexpr std::int64_t kWidth = 128;
  Trial& trial = build.trial;
  trial.layout.page_groups = {{.window = {}, .n_pages = 1, .pages_per_slot = 1}};
  std::array<Tensor, 2> pages;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    trial.layout.add_pages(i == 0 ? "keys" : "values", DType::f32, kWidth, 0);
    pages[i] = build.state();
  }
  trial.step.segments[0].position = 7;
  const std::array<std::uint32_t, 1> table{};
  TableWriter(trial.step, trial.step.segments[0], 1).set(0, 0, table);
  const Tensor q = attn_in(build.rows_of_x(),
                           {.norm = build.floats(1, kCols),
                            .q = build.coded(1, kWidth, kCols),
                            .k = build.coded(1, kWidth, kCols),
                            .v = build.coded(1, kWidth, kCols)},
                           kEps, pages[0], pages[1]);
  return build.layer("the input of attention",
                     attention(q, pages[0], pages[1], {.n_heads = 2, .n_kv_heads = 2}), kWidth);
}

/// A product, the router that reads its result, and experts. All experts are chosen, so that rounding
/// cannot change the choice.
Layer experts_layer(LayerBuilder build) {
  constexpr std::int64_t kExperts = 4;
  constexpr std::int64_t kIntermediate = 96;
  const Tensor y = linear(build.rows_of_x(), build.coded(1, kCols, kCols));
  const auto route = moe_route(y, build.floats(1, kCols), kEps, build.floats(kExperts, kCols),
                               build.floats(1, kCols), kExperts);
  const Tensor act = moe_swiglu(route.normed, route.experts,
                                {.gate = build.coded(kExperts, kIntermediate, kCols),
                                 .up = build.coded(kExperts, kIntermediate, kCols),
                                 .shared_gate = build.coded(1, kIntermediate, kCols),
                                 .shared_up = build.coded(1, kIntermediate, kCols)});
  return build.layer(
      "experts",
      moe_down(act, route.experts, route.gates, build.coded(kExperts, kCols, kIntermediate),
               build.coded(1, kCols, kIntermediate), y),
      kCols);
}

/// Compares the kernels of a layer with the plain kernels.
std::string layer_problem(Backend& backend, const Layer& layer, int bits,
                          const std::function<void(bool)>& use_variant) {
  use_variant(false);
  const std::vector<float> expected = run(backend, layer.trial, Precision::exact, layer.n_results);
  use_variant(true);
  return problem_beside(
      expected, fmt::format("{} with codes of {} bits", layer.name, bits),
      [&](Precision precision) { return run(backend, layer.trial, precision, layer.n_results); });
}

}  // namespace

std::string few_rows_problem(Backend& backend, const std::function<void(bool)>& use_variant) {
  Numbers numbers;
  use_variant(true);
  for (const int bits : {4, 8}) {
    const TrialWeight weight = affine(1, kOuts, kCols, bits, numbers);
    // Halves multiply up to 16 rows, integer dots up to 4.
    for (const std::uint32_t n_rows : {1U, 4U, 9U})
      if (auto problem = product_problem(backend, weight, n_rows, numbers); !problem.empty())
        return problem;
    for (const std::uint32_t n_rows : {1U, 3U})
      for (Layer (*const layer)(LayerBuilder) : {scan_layer, attention_layer, experts_layer})
        if (auto problem = layer_problem(
                backend, layer(LayerBuilder(backend, bits, n_rows, numbers)), bits, use_variant);
            !problem.empty())
          return problem;
  }
  return "";
}

}  // namespace bitaxon::vulkan
