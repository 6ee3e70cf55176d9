// Compares the vectorized CPU backend with the reference, for every case of every op and for
// several numbers of threads.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <set>

#include "cpu/kernel.h"
#include "cpu/simd/targets.h"
#include "ops/op.h"
#include "support/backends.h"
#include "support/op_case_params.h"

namespace bitaxon::test {
namespace {

/// The tolerance of a case in precision "fast".
Tolerance fast_tolerance(std::string_view op, const OpProblem& problem, Tolerance tolerance) {
  const auto is_coded = [](const CaseWeight& weight) {
    return weight.desc.format != WeightFormat::dense;
  };
  if (std::ranges::any_of(problem.weights(), is_coded)) {
    // Activations are rounded to 2^-15 of the largest activation in a block of 64, and NF4 values
    // to 2^-12 of the largest NF4 value. A SwiGLU multiplies two products that have such errors.
    tolerance.relative += 4e-3;
    tolerance.reason += "; products of reduced precision";
  } else if (op == "selective_scan") {
    tolerance.relative += 1.5e-4;
    tolerance.reason += "; short exponentials";
  }
  return tolerance;
}

class OpCasesTest : public testing::TestWithParam<NamedCase> {};

TEST_P(OpCasesTest, CpuAgreesWithReference) {
  const OpCase& op_case = *GetParam().op_case;
  SCOPED_TRACE(
      fmt::format("replay: op_tests --gtest_filter='*/{}_{}'", GetParam().op, op_case.label));
  const OpProblem problem = problem_of(GetParam().op, op_case);
  const OpRun expected = expected_run(reference_backend(), problem);
  expect_clean(expected, "reference");
  for (const Precision precision : {Precision::exact, Precision::fast}) {
    const bool fast = precision == Precision::fast;
    // Model-sized cases run with few thread counts, because packing their weights is slow.
    const std::vector<int> thread_counts = (op_case.tags & kModel) != 0 ? std::vector{2, 3}
                                           : fast                       ? std::vector{1, 3}
                                                                        : std::vector{1, 2, 3, 7};
    const Tolerance tolerance =
        fast ? fast_tolerance(GetParam().op, problem, op_case.tolerance) : op_case.tolerance;
    std::optional<OpRun> first;
    for (int n_threads : thread_counts) {
      const std::string who =
          fmt::format("cpu, {}, {} threads", fast ? "fast" : "exact", n_threads);
      OpRun run = run_op(cpu_backend(n_threads), problem, precision);
      expect_agreement(run, expected, tolerance, who);
      if (!first) {
        first = std::move(run);
        continue;
      }
      for (std::size_t i = 0; i < run.results.size(); ++i)
        EXPECT_TRUE(run.results[i].bytes == first->results[i].bytes)
            << who << ": the bits of " << run.results[i].name << " differ from those with "
            << thread_counts[0];
    }
  }
}

TEST_P(OpCasesTest, EveryInstructionSetAgreesWithReference) {
  const OpCase& op_case = *GetParam().op_case;
  // These cases have more tiles, but no other kind of tile.
  if ((op_case.tags & kModel) != 0) return;
  const OpProblem problem = problem_of(GetParam().op, op_case);
  const OpRun expected = expected_run(reference_backend(), problem);
  for (const std::string& target : cpu::simd_targets()) {
    cpu::use_simd_target(target);
    const auto backend = open_device("cpu", {.n_threads = 2}).backend;
    for (const Precision precision : {Precision::exact, Precision::fast}) {
      const bool fast = precision == Precision::fast;
      SCOPED_TRACE(fmt::format("{}, {}", target, fast ? "fast" : "exact"));
      const OpRun run = run_op(*backend, problem, precision);
      const Tolerance tolerance =
          fast ? fast_tolerance(GetParam().op, problem, op_case.tolerance) : op_case.tolerance;
      expect_agreement(run, expected, tolerance, target);
    }
  }
  cpu::use_simd_target("");
}

INSTANTIATE_TEST_SUITE_P(Every, OpCasesTest, testing::ValuesIn(named_cases(kPlain, kModel)),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Lengthy, OpCasesTest, testing::ValuesIn(named_cases(kModel)), test_name);

TEST(OpTable, EveryOpHasKernelsAndCases) {
  ASSERT_EQ(every_op_case().size(), static_cast<std::size_t>(kOpCount));
  for (int op = 0; op < kOpCount; ++op) {
    const OpInfo& info = op_info(static_cast<OpId>(op));
    const OpCases& cases = every_op_case()[static_cast<std::size_t>(op)];
    SCOPED_TRACE(info.name);
    EXPECT_EQ(info.name, cases.op);
    EXPECT_NE(cpu::kernel_of(static_cast<OpId>(op), false).run, nullptr);
    EXPECT_NE(cpu::kernel_of(static_cast<OpId>(op), false).workspace, nullptr);
    const auto has = [&](unsigned tag) {
      return std::ranges::any_of(cases.cases, [&](const OpCase& c) { return (c.tags & tag) != 0; });
    };
    EXPECT_TRUE(has(kEdge)) << "no edge case";
    EXPECT_TRUE(has(kModel)) << "no model-sized case";
    EXPECT_TRUE(has(kBench)) << "no case for benchmarks";
    std::set<std::string> labels;
    for (const OpCase& op_case : cases.cases) {
      EXPECT_TRUE(labels.insert(op_case.label).second)
          << "two cases have the label " << op_case.label;
      EXPECT_FALSE(op_case.tolerance.reason.empty()) << op_case.label;
    }
  }
}

/// Whether a node has an operand with rows, so that its cost depends on the step.
bool has_rows(const NodeView& node) {
  for (const Operand& operand : node.node().operands)
    if (operand.value >= 0 && node.graph().value(operand.value).row_space != RowSpace::none)
      return true;
  return false;
}

/// Whether a node reads a weight, or keys and values.
bool reads_stored_bytes(const NodeView& node) {
  for (const Operand& operand : node.node().operands) {
    if (operand.value < 0) continue;
    const Value& value = node.graph().value(operand.value);
    const bool is_read_page = value.page_group >= 0 && operand.access != Access::write;
    if (value.kind == ValueKind::weight || is_read_page) return true;
  }
  return false;
}

TEST(OpTable, EveryOpHasACost) {
  for (const OpCases& cases : every_op_case())
    for (const OpCase& op_case : cases.cases) {
      // These cases are slow to make and test the same formula.
      if ((op_case.tags & kModel) != 0) continue;
      SCOPED_TRACE(fmt::format("{}/{}", cases.op, op_case.label));
      const OpProblem problem = problem_of(cases.op, op_case);
      const auto graph = graph_of(reference_backend(), problem);
      ASSERT_EQ(graph->nodes().size(), 1U);
      const NodeView node(*graph, graph->nodes()[0]);
      EXPECT_EQ(op_info(node.node()).name, cases.op);
      const StepSizes one{.n_rows = 1, .n_segments = 1, .n_outputs = 1, .position = 3};
      const StepSizes two{.n_rows = 2, .n_segments = 2, .n_outputs = 2, .position = 3};
      const Cost cost = cost_of(node, one);
      EXPECT_GT(cost.bytes, 0);
      // These ops only copy rows.
      const bool copies = cases.op == "embed" || cases.op == "load_rows" || cases.op == "save_rows";
      EXPECT_EQ(cost.flops > 0, !copies);
      if (has_rows(node)) {
        EXPECT_GT(cost_of(node, two).bytes, cost.bytes);
      }
      EXPECT_EQ(cost.stored_bytes > 0, reads_stored_bytes(node));
      EXPECT_LE(cost.stored_bytes, cost.bytes);
    }
}

}  // namespace
}  // namespace bitaxon::test
