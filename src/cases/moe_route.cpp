#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "cases/errors.h"
#include "core/assert.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;
  std::int64_t d_model = 64;
  std::int64_t n_experts = 8;
  std::int64_t top_k = 2;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  bool norm = true;
  bool shared = true;
  bool renormalize = false;
  double x_spread = 1;
  double gate_spread = 1;                 ///< size of the logits: their root mean square
  std::vector<std::int64_t> copies = {};  ///< expert e has the gate row of expert copies[e]
  bool nan_row = false;                   ///< whether the second row has a NaN in its middle
};

std::size_t add_gate(OpProblem& p, const Spec& spec) {
  const double spread = spec.gate_spread / std::sqrt(static_cast<double>(spec.d_model));
  const Shape shape{1, spec.n_experts, spec.d_model};
  if (spec.copies.empty()) return p.add_weight(spec.format, shape, spread);
  std::vector<float> rows(static_cast<std::size_t>(shape.elements()));
  for (float& value : rows) value = p.random().centred(spread);
  const auto cols = static_cast<std::size_t>(spec.d_model);
  for (std::size_t e = 0; e < spec.copies.size(); ++e)
    std::copy_n(
        rows.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(spec.copies[e]) * cols),
        cols, rows.begin() + static_cast<std::ptrdiff_t>(e * cols));
  return p.add_weight(shape, rows);
}

std::size_t add_x(OpProblem& p, const Spec& spec) {
  const auto d = static_cast<std::size_t>(spec.d_model);
  std::vector<float> values(static_cast<std::size_t>(p.valid_rows(RowSpace::rows)) * d);
  for (float& value : values) value = p.random().centred(spec.x_spread);
  if (spec.nan_row) values[d + d / 2] = std::numeric_limits<float>::quiet_NaN();
  return p.add_input<float>(std::array{spec.d_model}, values);
}

std::vector<double> normed_errors(const std::vector<NormedRow>& rows) {
  std::vector<double> allowed;
  for (const NormedRow& row : rows)
    for (const Rounded& x : row.x)
      // Without a norm the row is copied, which causes no error.
      allowed.push_back(row.scale ? allowed_of(x * *row.scale) : 0);
  return allowed;
}

/// The softmax of the logits, with bounds on its rounding errors.
std::vector<Rounded> gates_of(std::span<const Rounded> logits) {
  double largest = logits[0].value;
  for (const Rounded& logit : logits) largest = std::max(largest, logit.value);
  std::vector<Rounded> gates;
  Sum total;
  // The same largest logit is subtracted from all logits, so its own error cancels.
  for (const Rounded& logit : logits) gates.push_back(exp_of(logit + Rounded{-largest}));
  for (const Rounded& gate : gates) total.add(gate);
  for (Rounded& gate : gates) gate = gate / total.result();
  return gates;
}

/// Checks that rounding cannot swap the two experts. Their logits must be equal, or differ by more
/// than their errors, or be so close that both gates are the same float32 number.
void expect_decided(const Rounded& first, const Rounded& second, double first_gate,
                    double second_gate) {
  const double gap = first.value - second.value;
  BX_ASSERT(gap == 0 || gap > first.allowed() + second.allowed() ||
                static_cast<float>(first_gate) == static_cast<float>(second_gate),
            "the experts of the case depend on rounding: rename the case to change its numbers");
}

/// The allowed errors of the gates, row by row. A row has the top_k largest gates, then the gate of
/// the shared expert.
std::vector<double> gate_errors(const Spec& spec, std::span<const Rounded> logits,
                                std::span<const Rounded> shared_logits) {
  const auto n = static_cast<std::size_t>(spec.n_experts);
  const auto top_k = static_cast<std::size_t>(spec.top_k);
  std::vector<double> allowed;
  for (std::size_t r = 0; r < logits.size() / n; ++r) {
    const auto row = logits.subspan(r * n, n);
    const std::vector<Rounded> gates = gates_of(row);
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    // If the gates are NaN, the order of the experts does not matter.
    if (!std::isnan(gates[0].value)) {
      std::ranges::stable_sort(order, std::greater(), [&](std::size_t e) { return row[e].value; });
      for (std::size_t k = 0; k < top_k && k + 1 < n; ++k)
        expect_decided(row[order[k]], row[order[k + 1]], gates[order[k]].value,
                       gates[order[k + 1]].value);
    }
    Sum total;
    for (std::size_t k = 0; k < top_k; ++k) total.add(gates[order[k]]);
    for (std::size_t k = 0; k < top_k; ++k) {
      const Rounded& gate = gates[order[k]];
      // The gates that are divided are rounded to float32.
      allowed.push_back(
          allowed_of(spec.renormalize ? rounded(gate) / rounded(total.result()) : gate));
    }
    allowed.push_back(shared_logits.empty() ? 0 : allowed_of(sigmoid_of(shared_logits[r])));
  }
  return allowed;
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const std::int64_t d = spec.d_model;
  const auto x = add_x(p, spec);
  const auto norm = p.add_weight(Format::f32, {1, 1, d}, 0.3, 1);
  const auto gate = add_gate(p, spec);
  const auto shared = p.add_weight(spec.format, {1, 1, d}, 1 / std::sqrt(static_cast<double>(d)));
  p.errors = [=](const OpProblem& problem) -> ResultErrors {
    const auto rows = normed_rows(problem, x, spec.norm ? std::optional(norm) : std::nullopt, 1e-6);
    const auto logits = products(problem.weights()[gate], rows);
    const auto shared_logits =
        spec.shared ? products(problem.weights()[shared], rows) : std::vector<Rounded>();
    return {normed_errors(rows), {}, gate_errors(spec, logits, shared_logits)};
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    const auto [normed, experts, gates] =
        moe_route(h.inputs[x], spec.norm ? h.weights[norm] : Tensor(), 1e-6F, h.weights[gate],
                  spec.shared ? h.weights[shared] : Tensor(), spec.top_k, spec.renormalize);
    return {normed, experts, gates};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "float32 sums of D products in any order, and a softmax of them", spec.nan_row},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> moe_route_cases() {
  std::vector<OpCase> cases;
  for (Format format : kEveryFormat)
    cases.push_back(make("format_" + std::string(name_of(format)), tags_of(format),
                         {.format = format, .d_model = 128}));
  for (std::uint32_t n : {1U, 2U, 5U, 16U, 33U})
    cases.push_back(make("rows_" + std::to_string(n), kPlain, {.segments = one_segment(n, 0)}));
  for (std::uint32_t n : {1U, 2U, 17U, 512U})
    cases.push_back(make("full_bucket_" + std::to_string(n), kEdge,
                         {.segments = one_segment(n, 0), .capacity = n}));
  cases.push_back(make("full_bucket", kEdge, {.segments = one_segment(8, 1), .capacity = 8}));
  cases.push_back(make("three_segments", kPlain, {.segments = three_segments()}));
  cases.push_back(make("odd_sizes", kEdge, {.d_model = 13, .n_experts = 5, .top_k = 3}));
  cases.push_back(make("more_experts_than_lanes", kEdge, {.n_experts = 67, .top_k = 4}));
  cases.push_back(make("one_expert", kEdge, {.n_experts = 1, .top_k = 1}));
  cases.push_back(make("every_expert", kEdge, {.n_experts = 6, .top_k = 6}));
  cases.push_back(make("all_tied", kEdge, {.top_k = 3, .copies = {0, 0, 0, 0, 0, 0, 0, 0}}));
  cases.push_back(make("tied_in_pairs", kEdge, {.top_k = 3, .copies = {0, 1, 1, 0, 2, 3, 3, 2}}));
  cases.push_back(make("all_zero_gate", kEdge, {.top_k = 3, .gate_spread = 0}));
  cases.push_back(make("one_gate_takes_all", kEdge, {.gate_spread = 100}));
  cases.push_back(make("gates_underflow", kEdge, {.top_k = 5, .gate_spread = 1000}));
  cases.push_back(
      make("gates_subnormal", kEdge,
           {.n_experts = 32, .top_k = 32, .segments = one_segment(33, 0), .gate_spread = 40}));
  cases.push_back(make("nan_row", kEdge, {.top_k = 3, .nan_row = true}));
  cases.push_back(make("many_experts", kEdge, {.n_experts = 256, .top_k = 9}));
  cases.push_back(make("many_experts_all_chosen", kEdge, {.n_experts = 256, .top_k = 256}));
  cases.push_back(make("without_shared", kEdge, {.segments = three_segments(), .shared = false}));
  cases.push_back(make("without_norm", kEdge, {.segments = three_segments(), .norm = false}));
  for (std::uint32_t n : {1U, 5U, 33U})
    cases.push_back(make("renormalized_rows_" + std::to_string(n), kEdge,
                         {.segments = one_segment(n, 0), .renormalize = true}));
  for (std::uint32_t n : {1U, 33U})
    cases.push_back(make("renormalized_128_experts_rows_" + std::to_string(n), kEdge,
                         {.n_experts = 128,
                          .top_k = 8,
                          .segments = one_segment(n, 0),
                          .shared = false,
                          .renormalize = true}));
  cases.push_back(make("renormalized_odd_sizes", kEdge,
                       {.d_model = 13,
                        .n_experts = 67,
                        .top_k = 5,
                        .segments = three_segments(),
                        .norm = false,
                        .renormalize = true}));
  cases.push_back(make("renormalized_one_chosen", kEdge, {.top_k = 1, .renormalize = true}));
  cases.push_back(
      make("renormalized_every_expert", kEdge, {.n_experts = 6, .top_k = 6, .renormalize = true}));
  cases.push_back(make("renormalized_small_gates", kEdge,
                       {.top_k = 3, .renormalize = true, .gate_spread = 100}));
  cases.push_back(make("renormalized_all_tied", kEdge,
                       {.top_k = 3, .renormalize = true, .copies = {0, 0, 0, 0, 0, 0, 0, 0}}));
  cases.push_back(
      make("renormalized_nan_row", kEdge, {.top_k = 3, .renormalize = true, .nan_row = true}));
  cases.push_back(make("large_values", kEdge, {.x_spread = 1e18}));
  cases.push_back(make("tiny_values", kEdge, {.norm = false, .x_spread = 1e-18}));
  cases.push_back(make("model", kModel | kBench,
                       {.format = Format::q4_g64, .d_model = 2560, .segments = one_segment(3, 9)}));
  return cases;
}

}  // namespace bitaxon::test
