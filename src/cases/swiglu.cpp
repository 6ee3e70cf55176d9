#include <cmath>
#include <optional>

#include "cases/errors.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;
  std::optional<Format> up_format = {};  ///< empty: the format of gate
  std::int64_t d_model = 64;
  std::int64_t intermediate = 96;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  bool norm = true;
  float eps = 1e-6F;
  double x_spread = 1;
};

std::vector<double> errors_of(const OpProblem& p, const std::vector<NormedRow>& rows,
                              std::size_t gate, std::size_t up) {
  const std::vector<Rounded> gates = products(p.weights()[gate], rows);
  const std::vector<Rounded> ups = products(p.weights()[up], rows);
  std::vector<double> allowed;
  for (std::size_t i = 0; i < gates.size(); ++i)
    allowed.push_back(allowed_of(silu_of(gates[i]) * ups[i]));
  return allowed;
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const std::int64_t d = spec.d_model;
  const double spread = 1 / std::sqrt(static_cast<double>(d));
  const Shape shape{1, spec.intermediate, d};
  const auto x = p.add_input(d, spec.x_spread);
  const auto norm = p.add_weight(Format::f32, {1, 1, d}, 0.3, 1);
  const auto gate = p.add_weight(spec.format, shape, spread);
  const auto up = p.add_weight(spec.up_format.value_or(spec.format), shape, spread);
  p.errors = [=](const OpProblem& problem) -> ResultErrors {
    const auto rows = normed_rows(problem, x, spec.norm ? std::optional(norm) : std::nullopt,
                                  static_cast<double>(spec.eps));
    return {errors_of(problem, rows, gate, up)};
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {swiglu(h.inputs[x],
                   {.norm = spec.norm ? h.weights[norm] : Tensor(),
                    .gate = h.weights[gate],
                    .up = h.weights[up]},
                   spec.eps)};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "two float32 sums of D products in any order, and a SiLU"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> swiglu_cases() {
  std::vector<OpCase> cases;
  // The shaders decode weights as those of linear do, so a short run takes few formats.
  for (Format format : kEveryFormat) {
    const unsigned tags = tags_of(format);
    cases.push_back(make("format_" + std::string(name_of(format)),
                         tags == kPlain ? kExhaustive : tags, {.format = format, .d_model = 128}));
  }
  // Backends use one kernel for few rows and another for many rows.
  for (std::uint32_t n : {1U, 2U, 5U, 16U, 17U, 33U, 70U})
    cases.push_back(make("rows_" + std::to_string(n), n == 5 || n == 17 ? kPlain : kExhaustive,
                         {.segments = one_segment(n, 0)}));
  for (Format format : {Format::f16, Format::q4_g64, Format::nf4_nested})
    cases.push_back(make("many_rows_format_" + std::string(name_of(format)),
                         format == Format::q4_g64 ? kEveryMode : kExhaustive,
                         {.format = format, .d_model = 128, .segments = one_segment(37, 0)}));
  for (std::uint32_t n : {1U, 8U, 16U, 64U})
    cases.push_back(make("full_bucket_" + std::to_string(n), n <= 8 ? kEdge : kEdge | kExhaustive,
                         {.segments = one_segment(n, 0), .capacity = n}));
  cases.push_back(
      make("full_step", kEdge | kExhaustive,
           {.d_model = 20, .intermediate = 36, .segments = one_segment(512, 0), .capacity = 512}));
  for (std::uint32_t n : {1U, 5U, 19U}) {
    const std::string rows = "_rows_" + std::to_string(n);
    const unsigned tags = n == 5 ? kEdge | kExhaustive : kEdge;
    cases.push_back(make("odd_sizes" + rows, tags,
                         {.d_model = 37, .intermediate = 139, .segments = one_segment(n, 0)}));
    cases.push_back(make("odd_sizes_nf4" + rows, kEdge | kExhaustive,
                         {.format = Format::nf4_g64,
                          .d_model = 37,
                          .intermediate = 7,
                          .segments = one_segment(n, 0)}));
    // Neither of the block sizes 24 and 64 divides the other.
    cases.push_back(make("up_of_another_format" + rows, tags,
                         {.format = Format::nf4_g24,
                          .up_format = Format::q4_g64,
                          .d_model = 192,
                          .segments = one_segment(n, 0)}));
    cases.push_back(
        make("without_norm" + rows, tags, {.segments = one_segment(n, 0), .norm = false}));
  }
  cases.push_back(make("one_element", kEdge, {.d_model = 1, .intermediate = 1}));
  cases.push_back(make("three_segments", kPlain, {.segments = three_segments()}));
  cases.push_back(make("eps_dominates", kEdge, {.eps = 10, .x_spread = 1e-3}));
  cases.push_back(make("silu_saturated", kEdge, {.norm = false, .x_spread = 1e3}));
  cases.push_back(make("large_values", kEdge, {.norm = false, .x_spread = 1e15}));
  cases.push_back(make("tiny_values", kEdge, {.norm = false, .x_spread = 1e-15}));
  cases.push_back(make("model", kModel | kBench,
                       {.format = Format::q4_g64,
                        .d_model = 2560,
                        .intermediate = 9728,
                        .segments = one_segment(1, 9)}));
  return cases;
}

}  // namespace bitaxon::test
