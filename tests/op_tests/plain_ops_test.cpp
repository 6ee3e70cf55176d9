// Compares two ops with independent formulas, for all their cases. The recordings cover these ops
// least: embed (which tokens count as seen), and the scan (the upper bound of the time step).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "cases/op_harness.h"
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
  if (segment.position != 0)
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
    EXPECT_EQ(values_of<std::uint32_t>(run.results[1 + g].bytes), seen) << "segment " << g;
  }
  EXPECT_EQ(values_of<float>(run.results[0].bytes), expected);
}

/// Evaluates the formula of the selective scan row by row, for all channels and states.
struct PlainScan {
  std::vector<float> u, bcr, z, dt_weight, dt_bias, a_log, skip;
  std::size_t d_inner, d_state;

  /// Advances the state h [N, E] by row r and returns y [E] for this row.
  std::vector<float> row(std::size_t r, std::vector<float>& h) const {
    std::vector<float> y;
    const float* b = bcr.data() + r * (2 * d_state + 1);
    for (std::size_t e = 0; e < d_inner; ++e) {
      const double x = double{b[2 * d_state]} * double{dt_weight[e]} + double{dt_bias[e]};
      const double softplus = x > 30 ? x : std::log1p(std::exp(x));
      const double dt = softplus < 1e-4 ? 1e-4 : softplus > 100 ? 100 : softplus;
      const double input = double{u[r * d_inner + e]};
      double sum = double{skip[e]} * input;
      for (std::size_t n = 0; n < d_state; ++n) {
        const double a = -std::exp(double{a_log[e * d_state + n]});
        float& state = h[n * d_inner + e];
        state = static_cast<float>(std::exp(dt * a) * double{state} + dt * input * double{b[n]});
        sum += double{state} * double{b[d_state + n]};
      }
      const double gate = double{z[r * d_inner + e]};
      y.push_back(static_cast<float>(sum * gate / (1 + std::exp(-gate))));
    }
    return y;
  }
};

void check_scan(OpProblem& problem, const Tolerance& tolerance) {
  const OpRun run = run_op(reference_backend(), problem);
  const auto& w = problem.weights();
  const auto& in = problem.inputs();
  const PlainScan scan{values_of<float>(in[0].bytes),
                       values_of<float>(in[1].bytes),
                       values_of<float>(in[2].bytes),
                       decoded(w[0]),
                       decoded(w[1]),
                       decoded(w[2]),
                       decoded(w[3]),
                       static_cast<std::size_t>(w[2].desc.rows),
                       static_cast<std::size_t>(w[2].desc.cols)};
  OpRun expected = run;
  std::vector<float> y;
  for (std::size_t g = 0; g < problem.segments().size(); ++g) {
    const SegmentWords& segment = problem.segments()[g];
    auto h = state_read<float>(problem, 0, segment);
    for (std::uint32_t i = 0; i < segment.n_rows; ++i) {
      const auto row = scan.row(segment.first_row + i, h);
      y.insert(y.end(), row.begin(), row.end());
    }
    std::memcpy(expected.results[1 + g].bytes.data(), h.data(), h.size() * sizeof(float));
  }
  std::memcpy(expected.results[0].bytes.data(), y.data(), y.size() * sizeof(float));
  for (const std::string& difference : differences(run, expected, tolerance))
    ADD_FAILURE() << difference;
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
  for (const OpCase& op_case : selective_scan_cases()) {
    if ((op_case.tags & kModel) != 0) continue;
    SCOPED_TRACE(op_case.label);
    OpProblem problem = problem_of("selective_scan", op_case);
    // Both the op and the formula compute in float64. They differ only in how they compute softplus
    // and SiLU.
    check_scan(problem, {1e-6, "one float32 rounding, carried through the rows",
                         op_case.tolerance.nan_expected});
  }
}

}  // namespace
}  // namespace bitaxon::test
