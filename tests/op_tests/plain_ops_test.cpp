// Compares ops with independent formulas in float64, for all their cases. The recordings of the
// original program cover these ops or their options least: embed (which tokens count as seen), the
// scan (bounds and rank of the time step, norms), linear and ssm_in (biases), swiglu, and moe_route
// (renormalized gates).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "cases/op_harness.h"
#include "core/node_view.h"
#include "ops/linear.h"
#include "ops/moe_route.h"
#include "ops/selective_scan.h"
#include "ops/ssm_in.h"
#include "ops/swiglu.h"
#include "support/backends.h"

namespace bitaxon::test {
namespace {

std::vector<float> decoded(const CaseWeight& weight) {
  std::vector<float> values(static_cast<std::size_t>(weight.desc.elements()));
  decode(weight.desc, weight.parts(), 0, values);
  return values;
}

template <class T>
std::vector<T> values_of(std::span<const std::byte> bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

/// The content of a state tensor before the step, as the segment reads it. Zeros if the segment
/// begins a sequence.
template <class T>
std::vector<T> state_read(OpProblem& problem, std::size_t state, const SegmentWords& segment) {
  std::vector<T> values(static_cast<std::size_t>(problem.layout().tensors[state].shape.elements()),
                        T{0});
  if (segment.position != 0 && !values.empty())
    std::memcpy(values.data(), problem.state_bytes(state, segment.slot, segment.read_version),
                values.size() * sizeof(T));
  return values;
}

void check_embed(OpProblem& problem) {
  const OpRun run = run_op(reference_backend(), problem);
  const auto table = decoded(problem.weights()[0]);
  const auto cols = static_cast<std::size_t>(problem.weights()[0].desc.cols);
  const std::int64_t vocab_size = problem.weights()[0].desc.rows;
  std::vector<float> expected;
  std::size_t next_state = 1;  // the result of the next segment that keeps its state
  for (std::size_t g = 0; g < problem.segments().size(); ++g) {
    const SegmentWords& segment = problem.segments()[g];
    auto seen = state_read<std::uint32_t>(problem, 0, segment);
    for (std::uint32_t i = 0; i < segment.n_rows; ++i) {
      std::int64_t id = problem.step.ids[segment.first_row + i];
      if (segment.ids_from_state != 0) id = state_read<std::int32_t>(problem, 1, segment)[0];
      if (id < 0 || id >= vocab_size) {
        expected.insert(expected.end(), cols, 0.0F);
        continue;
      }
      seen[static_cast<std::size_t>(id / 32)] |= 1U << (id % 32);
      const auto row = table.begin() + id * static_cast<std::int64_t>(cols);
      expected.insert(expected.end(), row, row + static_cast<std::ptrdiff_t>(cols));
    }
    if (segment.keeps_state == 0) continue;
    EXPECT_EQ(values_of<std::uint32_t>(run.results[next_state++].bytes), seen) << "segment " << g;
  }
  EXPECT_EQ(values_of<float>(run.results[0].bytes), expected);
}

/// The node of a case, with the values of its operands.
class CaseNode {
 public:
  explicit CaseNode(OpProblem& problem)
      : problem_(problem),
        graph_(graph_of(reference_backend(), problem)),
        node_(*graph_, graph_->nodes()[0]) {}

  const NodeView& node() const { return node_; }
  bool has(int operand) const { return node_.has(operand); }
  std::size_t dim(int operand, int axis) const {
    return static_cast<std::size_t>(node_.shape(operand)[axis]);
  }
  /// The values of a weight or of an input. Empty for an absent operand. The graph has the weights
  /// first and then the inputs.
  std::vector<float> values(int operand) const {
    if (!has(operand)) return {};
    const auto id = static_cast<std::size_t>(node_.operand(operand).value);
    const std::size_t n_weights = problem_.weights().size();
    if (id < n_weights) return decoded(problem_.weights()[id]);
    return values_of<float>(problem_.inputs()[id - n_weights].bytes);
  }

 private:
  OpProblem& problem_;
  std::shared_ptr<Graph> graph_;
  NodeView node_;
};

double silu(double x) { return x / (1 + std::exp(-x)); }

/// n values, normalized if there is a norm.
std::vector<double> normed(const float* x, std::size_t n, const std::vector<float>& norm,
                           float eps) {
  std::vector<double> out(x, x + n);
  if (norm.empty()) return out;
  double squares = 0;
  for (const double value : out) squares += value * value;
  const double root = std::sqrt(squares / static_cast<double>(n) + double{eps});
  for (std::size_t c = 0; c < n; ++c) out[c] *= double{norm[c]} / root;
  return out;
}

/// Row o of a matrix times x.
double product(const std::vector<float>& matrix, std::size_t o, const std::vector<double>& x) {
  double sum = 0;
  for (std::size_t c = 0; c < x.size(); ++c) sum += double{matrix[o * x.size() + c]} * x[c];
  return sum;
}

double element(const std::vector<float>& optional, std::size_t i) {
  return optional.empty() ? 0 : double{optional[i]};
}

/// Compares result `index` of the reference with expected values.
void expect_result(const OpProblem& problem, std::size_t index, const std::vector<float>& values,
                   const Tolerance& tolerance) {
  const OpRun run = run_op(reference_backend(), problem);
  OpRun expected = run;
  ASSERT_EQ(expected.results[index].bytes.size(), values.size() * sizeof(float));
  std::memcpy(expected.results[index].bytes.data(), values.data(), values.size() * sizeof(float));
  for (const std::string& difference : differences(run, expected, tolerance))
    ADD_FAILURE() << difference;
}

/// Evaluates the formula of the selective scan row by row, for all channels and states.
class PlainScan {
 public:
  explicit PlainScan(const CaseNode& node)
      : node_(node),
        options_(node.node().params<SelectiveScanParams>()),
        d_inner_(node.dim(selective_scan_operand::a_log, 1)),
        d_state_(node.dim(selective_scan_operand::a_log, 2)) {}

  /// Advances the state h [N, E] by row r and returns y [E] for this row.
  std::vector<float> row(std::size_t r, std::vector<float>& h) const {
    const std::size_t width = node_.dim(selective_scan_operand::params, 1);
    const std::size_t first_b = dt.empty() ? 0 : width - 2 * d_state_;
    const float* b_and_c = params.data() + r * width + first_b;
    const auto b = normed(b_and_c, d_state_, b_norm, options_.eps);
    const auto c = normed(b_and_c + d_state_, d_state_, c_norm, options_.eps);
    std::vector<float> y;
    for (std::size_t e = 0; e < d_inner_; ++e) {
      const std::size_t at = r * d_inner_ + e;
      const double raw =
          dt.empty() ? double{b_and_c[2 * d_state_]} * double{dt_weight[e]} : double{dt[at]};
      const double x = raw + double{dt_bias[e]};
      const double softplus = x > 30 ? x : std::log1p(std::exp(x));
      const double step = softplus < double{options_.dt_min}   ? double{options_.dt_min}
                          : softplus > double{options_.dt_max} ? double{options_.dt_max}
                                                               : softplus;
      const double input = double{u[at]};
      double sum = double{skip[e]} * input;
      for (std::size_t n = 0; n < d_state_; ++n) {
        const double a = -std::exp(double{a_log[e * d_state_ + n]});
        float& state = h[n * d_inner_ + e];
        state = static_cast<float>(std::exp(step * a) * double{state} +
                                   step * input * double{static_cast<float>(b[n])});
        sum += double{state} * double{static_cast<float>(c[n])};
      }
      y.push_back(static_cast<float>(sum * silu(double{z[at]})));
    }
    return y;
  }

 private:
  std::vector<float> values(int operand) const { return node_.values(operand); }

  const CaseNode& node_;
  SelectiveScanParams options_;
  std::size_t d_inner_, d_state_;
  std::vector<float> u = values(selective_scan_operand::u);
  std::vector<float> params = values(selective_scan_operand::params);
  std::vector<float> dt = values(selective_scan_operand::dt);
  std::vector<float> z = values(selective_scan_operand::z);
  std::vector<float> dt_weight = values(selective_scan_operand::dt_weight);
  std::vector<float> dt_bias = values(selective_scan_operand::dt_bias);
  std::vector<float> a_log = values(selective_scan_operand::a_log);
  std::vector<float> skip = values(selective_scan_operand::skip);
  std::vector<float> b_norm = values(selective_scan_operand::b_norm);
  std::vector<float> c_norm = values(selective_scan_operand::c_norm);
};

void check_scan(OpProblem& problem, const Tolerance& tolerance) {
  const OpRun run = run_op(reference_backend(), problem);
  const CaseNode node(problem);
  const PlainScan scan(node);
  OpRun expected = run;
  std::vector<float> y;
  std::size_t next_state = 1;  // the result of the next segment that keeps its state
  for (const SegmentWords& segment : problem.segments()) {
    auto h = state_read<float>(problem, 0, segment);
    for (std::uint32_t i = 0; i < segment.n_rows; ++i) {
      const auto row = scan.row(segment.first_row + i, h);
      y.insert(y.end(), row.begin(), row.end());
    }
    if (segment.keeps_state != 0)
      std::memcpy(expected.results[next_state++].bytes.data(), h.data(), h.size() * sizeof(float));
  }
  std::memcpy(expected.results[0].bytes.data(), y.data(), y.size() * sizeof(float));
  for (const std::string& difference : differences(run, expected, tolerance))
    ADD_FAILURE() << difference;
}

void check_linear(OpProblem& problem, const Tolerance& tolerance) {
  using namespace linear_operand;
  const CaseNode node(problem);
  const auto params = node.node().params<LinearParams>();
  const auto in = node.values(x), w = node.values(weight), norms = node.values(norm);
  const auto biases = node.values(bias), added = node.values(residual);
  const std::size_t rows = node.dim(weight, 1), cols = node.dim(weight, 2), width = node.dim(x, 1);
  const auto n_rows = static_cast<std::size_t>(problem.valid_rows(node.node().value(y).row_space));
  std::vector<float> out;
  for (std::size_t r = 0; r < n_rows; ++r) {
    const std::size_t source =
        params.select == RowSelect::outputs ? problem.step.output_rows[r] : r;
    const auto row = normed(in.data() + source * width, cols, norms, params.eps);
    for (std::size_t o = 0; o < rows; ++o)
      out.push_back(static_cast<float>(product(w, o, row) + element(biases, o) +
                                       element(added, r * rows + o)));
  }
  expect_result(problem, 0, out, tolerance);
}

void check_swiglu(OpProblem& problem, const Tolerance& tolerance) {
  using namespace swiglu_operand;
  const CaseNode node(problem);
  const auto in = node.values(x), gates = node.values(gate), ups = node.values(up);
  const auto norms = node.values(norm);
  const std::size_t intermediate = node.dim(gate, 1), d_model = node.dim(gate, 2);
  std::vector<float> out;
  for (std::size_t r = 0; r < problem.step.n_rows; ++r) {
    const auto row =
        normed(in.data() + r * d_model, d_model, norms, node.node().params<SwigluParams>().eps);
    for (std::size_t o = 0; o < intermediate; ++o)
      out.push_back(static_cast<float>(silu(product(gates, o, row)) * product(ups, o, row)));
  }
  expect_result(problem, 0, out, tolerance);
}

/// Checks the gates of moe_route.
void check_route(OpProblem& problem, const Tolerance& tolerance) {
  using namespace moe_route_operand;
  const CaseNode node(problem);
  const auto params = node.node().params<MoeRouteParams>();
  const auto in = node.values(x), router = node.values(gate), shared = node.values(shared_gate);
  const auto norms = node.values(norm);
  const std::size_t n_experts = node.dim(gate, 1), d_model = node.dim(gate, 2);
  const auto top_k = static_cast<std::size_t>(params.top_k);
  std::vector<float> out;
  for (std::size_t r = 0; r < problem.step.n_rows; ++r) {
    const auto row = normed(in.data() + r * d_model, d_model, norms, params.eps);
    std::vector<double> g;
    for (std::size_t e = 0; e < n_experts; ++e) g.push_back(product(router, e, row));
    const double largest = *std::ranges::max_element(g);
    double total = 0;
    for (double& value : g) total += value = std::exp(value - largest);
    std::ranges::sort(g, std::greater());
    double chosen = 0;
    for (std::size_t k = 0; k < top_k; ++k) chosen += g[k];
    for (std::size_t k = 0; k < top_k; ++k)
      out.push_back(static_cast<float>(g[k] / (params.renormalize != 0 ? chosen : total)));
    out.push_back(
        shared.empty() ? 0.0F : static_cast<float>(1 / (1 + std::exp(-product(shared, 0, row)))));
  }
  expect_result(problem, 2, out, tolerance);
}

/// Checks u and z of ssm_in.
void check_ssm_in(OpProblem& problem, const Tolerance& tolerance) {
  using namespace ssm_in_operand;
  const CaseNode node(problem);
  const auto in = node.values(x), projection = node.values(in_proj), norms = node.values(norm);
  const auto biases = node.values(in_bias), taps = node.values(conv_weight);
  const auto conv_biases = node.values(conv_bias);
  const std::size_t d_model = node.dim(x, 1);
  const std::size_t d_inner = node.dim(conv_weight, 1), d_conv = node.dim(conv_weight, 2);
  std::vector<float> of_u, of_z;
  for (const SegmentWords& segment : problem.segments()) {
    // The rows of v, beginning with the rows of the tail.
    auto v = state_read<float>(problem, 0, segment);
    for (std::uint32_t i = 0; i < segment.n_rows; ++i) {
      const std::size_t r = segment.first_row + i;
      const auto row =
          normed(in.data() + r * d_model, d_model, norms, node.node().params<SsmInParams>().eps);
      for (std::size_t o = 0; o < 2 * d_inner; ++o)
        (o < d_inner ? v : of_z)
            .push_back(static_cast<float>(product(projection, o, row) + element(biases, o)));
      for (std::size_t e = 0; e < d_inner; ++e) {
        double sum = element(conv_biases, e);
        for (std::size_t k = 0; k < d_conv; ++k)
          sum += double{taps[e * d_conv + k]} * double{v[(i + k) * d_inner + e]};
        of_u.push_back(static_cast<float>(silu(sum)));
      }
    }
  }
  expect_result(problem, 0, of_u, tolerance);
  expect_result(problem, 1, of_z, tolerance);
}

/// Runs a check for all cases of an op except the model-sized ones. Both the op and the formula
/// compute in float64, and results are rounded to float32 at a few places.
void check_cases(std::string_view op, const std::vector<OpCase>& cases,
                 void (*check)(OpProblem&, const Tolerance&)) {
  for (const OpCase& op_case : cases) {
    if ((op_case.tags & kModel) != 0) continue;
    SCOPED_TRACE(op_case.label);
    OpProblem problem = problem_of(op, op_case);
    check(problem, {1e-6, "a few float32 roundings", op_case.tolerance.nan_expected});
  }
}

TEST(PlainOps, EmbedAgreesWithItsFormula) {
  for (const OpCase& op_case : embed_cases()) {
    if ((op_case.tags & kModel) != 0) continue;
    SCOPED_TRACE(op_case.label);
    OpProblem problem = problem_of("embed", op_case);
    check_embed(problem);
  }
}

TEST(PlainOps, SelectiveScanAgreesWithItsFormula) {
  check_cases("selective_scan", selective_scan_cases(), check_scan);
}

TEST(PlainOps, LinearAgreesWithItsFormula) { check_cases("linear", linear_cases(), check_linear); }

TEST(PlainOps, SwigluAgreesWithItsFormula) { check_cases("swiglu", swiglu_cases(), check_swiglu); }

TEST(PlainOps, MoeRouteAgreesWithItsFormula) {
  check_cases("moe_route", moe_route_cases(), check_route);
}

TEST(PlainOps, SsmInAgreesWithItsFormula) { check_cases("ssm_in", ssm_in_cases(), check_ssm_in); }

}  // namespace
}  // namespace bitaxon::test
