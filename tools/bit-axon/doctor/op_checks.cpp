#include <fmt/format.h>

#include <algorithm>

#include "cases/op_harness.h"
#include "doctor/examination.h"

namespace bitaxon::tool {
namespace {

/// The cases of an op that every driver runs, but none with the shapes of a large model.
std::vector<const test::OpCase*> short_list(const test::OpCases& cases) {
  std::vector<const test::OpCase*> chosen;
  for (const test::OpCase& op_case : cases.cases)
    if ((op_case.tags & test::kEveryMode) != 0 && (op_case.tags & test::kModel) == 0)
      chosen.push_back(&op_case);
  return chosen;
}

}  // namespace

bool check_ops(Backend& backend, Backend& reference, const std::atomic<bool>& interrupted,
               OpChecks& checks) {
  for (const test::OpCases& cases : test::every_op_case()) {
    ++checks.n_ops;
    for (const test::OpCase* op_case : short_list(cases)) {
      if (interrupted) return false;
      ++checks.n_cases;
      const test::Tolerance tolerance = checks.precision == Precision::fast
                                            ? test::with_fast_error(op_case->tolerance)
                                            : op_case->tolerance;
      const test::OpProblem problem = test::problem_of(cases.op, *op_case);
      const test::OpRun expected = test::expected_run(reference, problem);
      const test::OpRun run = test::run_op(backend, problem, checks.precision);
      checks.largest_error =
          std::max(checks.largest_error, test::largest_error(run, expected, tolerance));
      const auto add = [&](const std::vector<std::string>& lines) {
        for (const std::string& line : lines)
          checks.problems.push_back(fmt::format("{}/{}: {}", cases.op, op_case->label, line));
      };
      add(run.violations);
      add(test::differences(run, expected, tolerance));
    }
  }
  return true;
}

}  // namespace bitaxon::tool
