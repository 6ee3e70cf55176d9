// Tests that a row gives the same bits alone, among other rows, and in a step with a prefill chunk.
// If an op keeps state, the same must be true of a sequence. The tests check every case of every
// op, because a token must not depend on the other sequences in its step.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cases/composed.h"
#include "ops/op.h"
#include "support/backends.h"
#include "support/op_case_params.h"

namespace bitaxon::test {
namespace {

constexpr std::uint32_t kChunkRows = 200;

struct Device {
  std::string name;
  Backend* backend = nullptr;
  Precision precision = Precision::exact;
};

std::vector<Device> devices() {
  return {{"reference", &reference_backend()},
          {"cpu, exact", &cpu_backend(2)},
          {"cpu, fast", &cpu_backend(2), Precision::fast}};
}

/// Groups of pieces. The pieces of one group run in the same step.
std::vector<std::vector<CasePiece>> groups_of(const OpProblem& problem,
                                              std::span<const CasePiece> pieces, bool every_size) {
  std::vector<std::vector<CasePiece>> groups;
  const auto add = [&](std::vector<CasePiece> group) {
    if (rows_of(problem, group) <= static_cast<std::size_t>(kMaxRows))
      groups.push_back(std::move(group));
  };
  for (std::size_t n = 2; n <= 16; ++n)
    if (every_size || n == 2 || n == 5 || n == 16) add(group_of(pieces, n, n));
  std::vector<CasePiece> beside = group_of(pieces, std::min<std::size_t>(pieces.size(), 7), 0);
  beside.insert(beside.begin() + 1, prefill_chunk(kChunkRows));
  add(std::move(beside));
  return groups;
}

void expect_same(const OpRun& actual, const OpRun& expected, const std::string& what) {
  ASSERT_EQ(actual.results.size(), expected.results.size()) << what;
  for (std::size_t i = 0; i < expected.results.size(); ++i)
    EXPECT_TRUE(actual.results[i].bytes == expected.results[i].bytes)
        << what << ": " << expected.results[i].name << " has other bits than alone";
}

bool is_same_piece(const CasePiece& a, const CasePiece& b) {
  return a.segment == b.segment && a.first_row == b.first_row && a.fresh == b.fresh;
}

/// How many groups of each kind the cases of an op have.
struct Coverage {
  int n_of_sixteen = 0;
  int n_beside_chunk = 0;
};

void check_group(const Device& device, const OpProblem& problem, std::span<const CasePiece> pieces,
                 std::span<const OpRun> alone, std::span<const CasePiece> group) {
  const OpProblem together = problem.composed(group);
  const OpRun run = run_op(*device.backend, together, device.precision);
  expect_clean(run, device.name);
  for (std::size_t k = 0; k < group.size(); ++k)
    for (std::size_t u = 0; u < pieces.size(); ++u)
      if (is_same_piece(group[k], pieces[u]))
        expect_same(results_of(run, together, k), alone[u],
                    fmt::format("{}: piece {} of {}", device.name, k, group.size()));
}

void check_case(const OpProblem& problem, bool every_size, Coverage& coverage) {
  const std::vector<CasePiece> pieces = pieces_of(problem, 16);
  const auto groups = groups_of(problem, pieces, every_size);
  for (const Device& device : devices()) {
    std::vector<OpRun> alone;
    for (const CasePiece& piece : pieces) {
      const OpProblem single = problem.composed({&piece, 1});
      alone.push_back(results_of(run_op(*device.backend, single, device.precision), single, 0));
    }
    for (const auto& group : groups) check_group(device, problem, pieces, alone, group);
  }
  for (const auto& group : groups) {
    const auto is_chunk = [](const CasePiece& piece) { return piece.fresh; };
    const bool beside_chunk = std::ranges::any_of(group, is_chunk);
    coverage.n_beside_chunk += beside_chunk ? 1 : 0;
    coverage.n_of_sixteen += !beside_chunk && group.size() == 16 ? 1 : 0;
  }
}

class LengthyIndependence : public testing::TestWithParam<int> {};

TEST_P(LengthyIndependence, RowsDoNotDependOnOtherRowsInTheirStep) {
  const OpCases& cases = every_op_case()[static_cast<std::size_t>(GetParam())];
  Coverage coverage;
  for (const OpCase& op_case : cases.cases) {
    // These cases have more tiles, but no other kind of tile.
    if ((op_case.tags & kModel) != 0) continue;
    SCOPED_TRACE(fmt::format("{}/{}", cases.op, op_case.label));
    check_case(problem_of(cases.op, op_case), (op_case.tags & kEveryMode) != 0, coverage);
  }
  EXPECT_GT(coverage.n_of_sixteen, 0);
  EXPECT_GT(coverage.n_beside_chunk, 0);
}

// The test runs for every op of the op list, so it fails for an op without cases.
INSTANTIATE_TEST_SUITE_P(Every, LengthyIndependence, testing::Range(0, kOpCount),
                         [](const testing::TestParamInfo<int>& op) {
                           return std::string(op_info(static_cast<OpId>(op.param)).name);
                         });

}  // namespace
}  // namespace bitaxon::test
