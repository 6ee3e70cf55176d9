// Tests of the comparison and of the harness. Both must detect the faults that they look for.
#include "cases/compare.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "cases/op_harness.h"
#include "support/backends.h"

namespace bitaxon::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
const Tolerance kTolerance{1e-3, "the tolerance of this test"};

using Floats = std::vector<float>;

std::string problem(const Floats& actual, const Floats& expected, std::int64_t row_length = 2,
                    const Tolerance& tolerance = kTolerance) {
  return compare(std::span<const float>(actual), expected, row_length, tolerance).problem;
}

TEST(Compare, FailsOnlyBeyondTheTolerance) {
  EXPECT_EQ(problem({1, 2}, {1, 2}), "");
  EXPECT_EQ(problem({1.0005F, 2}, {1, 2}), "");
  EXPECT_NE(problem({1.005F, 2}, {1, 2}), "");
  const auto result =
      compare(std::span<const float>(Floats{1, 2.001F}), Floats{1, 2}, 2, kTolerance);
  EXPECT_NEAR(result.largest, 0.5, 0.01) << "as a fraction of the tolerance";
}

TEST(Compare, ToleranceOfASmallElementDependsOnItsRow) {
  EXPECT_EQ(problem({1e-5F, 1}, {0, 1}), "");
  EXPECT_NE(problem({1e-5F, 1e-5F, 1, 1}, {0, 0, 1, 1}), "") << "other rows do not count";
  EXPECT_EQ(problem({1e-39F, 0}, {0, 0}), "") << "a device may flush subnormal numbers";
}

TEST(Compare, NanFailsUnlessExpected) {
  EXPECT_NE(problem({kNan, 1}, {1, 1}), "");
  EXPECT_NE(problem({1, 1}, {kNan, 1}), "");
  EXPECT_NE(problem({kNan, 1}, {kNan, 1}), "");
  EXPECT_EQ(problem({kNan, 1}, {kNan, 1}, 2, {1e-3, "", true}), "");
  EXPECT_NE(problem({kNan, 1}, {1, 1}, 2, {1e-3, "", true}), "");
}

TEST(Compare, InfinitiesMustAgreeInSign) {
  EXPECT_EQ(problem({kInf, -kInf}, {kInf, -kInf}), "");
  EXPECT_NE(problem({kInf, 1}, {-kInf, 1}), "");
  EXPECT_NE(problem({3e38F, 1}, {kInf, 1}), "");
  EXPECT_NE(problem({kInf, 1}, {3e38F, 1}), "");
}

TEST(Compare, NamesTheFirstMismatchWithItsNeighbors) {
  const std::string text = problem({0, 1, 2, 7, 4, 9}, {0, 1, 2, 3, 4, 5}, 3);
  EXPECT_NE(text.find("2 of 6 elements"), std::string::npos) << text;
  EXPECT_NE(text.find("index 3: 7 instead of 3; around it 1 2 [7] 4 9, expected 1 2 [3] 4 5"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("row 1, column 0"), std::string::npos) << text;
  EXPECT_NE(problem({1, 2}, {1}), "");
}

TEST(Compare, IntegersAreExact) {
  const std::vector<std::int32_t> a = {1, 2, 3};
  const std::vector<std::int32_t> b = {1, 2, 4};
  EXPECT_EQ(compare(a, a).problem, "");
  EXPECT_NE(compare(a, b).problem.find("index 2: 3 instead of 4"), std::string::npos);
  EXPECT_NE(compare(a, std::span(b).first(2)).problem, "");
}

TEST(Cases, AreReproducible) {
  for (const OpCases& cases : every_op_case()) {
    const OpCase& op_case = cases.cases[0];
    const OpProblem once = problem_of(cases.op, op_case);
    const OpProblem again = problem_of(cases.op, op_case);
    ASSERT_EQ(once.inputs().size(), again.inputs().size());
    for (std::size_t i = 0; i < once.inputs().size(); ++i)
      EXPECT_EQ(once.inputs()[i].bytes, again.inputs()[i].bytes) << cases.op;
    for (std::size_t i = 0; i < once.weights().size(); ++i)
      EXPECT_EQ(once.weights()[i].data, again.weights()[i].data) << cases.op;
    EXPECT_EQ(once.state_images(), again.state_images());
  }
  EXPECT_NE(Random("a").next(), Random("b").next());
}

TEST(Cases, HaveAtLeastOneInvalidRow) {
  OpProblem problem("rows");
  problem.set_step(three_segments());
  const auto input = problem.add_input(3, 1);
  EXPECT_GT(problem.capacity(RowSpace::rows), problem.valid_rows(RowSpace::rows));
  EXPECT_GT(problem.capacity(RowSpace::segments), problem.valid_rows(RowSpace::segments));
  EXPECT_GT(problem.capacity(RowSpace::outputs), problem.valid_rows(RowSpace::outputs));
  EXPECT_EQ(problem.inputs()[input].bytes.back(), std::byte{0xFF});
}

/// A backend that changes the last byte of one buffer after every step. `where` is the use of this
/// buffer, and `index` is its number among the buffers for this use.
class ScribblingBackend final : public Backend {
 public:
  explicit ScribblingBackend(BufferUse where, std::size_t index = 0)
      : where_(where), index_(index) {}
  const BackendCaps& caps() const override { return inner_.caps(); }
  std::shared_ptr<const BackendDescription> description() const override {
    return inner_.description();
  }
  Buffer allocate(std::size_t size_bytes, BufferUse use) override {
    const Buffer buffer = inner_.allocate(size_bytes, use);
    if (use == where_ && n_allocated_++ == index_) target_ = buffer;
    return buffer;
  }
  void upload(const Buffer& buffer, std::size_t offset, std::span<const std::byte> from) override {
    inner_.upload(buffer, offset, from);
  }
  void download(const Buffer& buffer, std::size_t offset, std::span<std::byte> to) override {
    inner_.download(buffer, offset, to);
  }
  void copy(std::span<const BufferCopy> copies) override { inner_.copy(copies); }
  void finish() override { inner_.finish(); }
  std::shared_ptr<const Weight> pack(const WeightDesc& desc, const WeightParts& parts) override {
    return inner_.pack(desc, parts);
  }
  Executable compile(std::shared_ptr<const Plan> plan, const PlanContext& context) override {
    return inner_.compile(std::move(plan), context);
  }
  Ticket submit(const Executable& executable, const StepBuffer& step) override {
    return inner_.submit(executable, step);
  }
  StepResult wait(Ticket ticket) override {
    const StepResult result = inner_.wait(ticket);
    const std::byte scribble{0x12};
    inner_.upload(target_, target_.size_bytes - 1, std::span(&scribble, 1));
    return result;
  }
  StepCounts last_step() const override { return inner_.last_step(); }

 private:
  Backend& inner_ = reference_backend();
  BufferUse where_;
  std::size_t index_;
  std::size_t n_allocated_ = 0;
  Buffer target_;
};

TEST(Harness, DetectsIllegalWrites) {
  const OpCase op_case = ssm_in_cases()[0];
  const OpProblem problem = problem_of("ssm_in", op_case);
  EXPECT_TRUE(run_op(reference_backend(), problem).violations.empty());
  for (const BufferUse where : {BufferUse::activations, BufferUse::state}) {
    ScribblingBackend backend(where);
    EXPECT_EQ(run_op(backend, problem).violations.size(), 1U);
  }
}

TEST(Harness, DetectsWritesAfterEveryStateTensor) {
  const OpCase op_case = sample_cases()[0];
  const OpProblem problem = problem_of("sample", op_case);
  ASSERT_EQ(problem.layout().tensors.size(), 2U);
  for (std::size_t i = 0; i < problem.layout().tensors.size(); ++i) {
    ScribblingBackend backend(BufferUse::state, i);
    const std::vector<std::string> violations = run_op(backend, problem).violations;
    ASSERT_EQ(violations.size(), 1U);
    EXPECT_NE(violations[0].find(problem.layout().tensors[i].name), std::string::npos)
        << violations[0];
  }
}

TEST(Harness, DetectsWrongResults) {
  const OpCase op_case = ssm_in_cases()[0];
  const OpProblem problem = problem_of("ssm_in", op_case);
  const OpRun expected = expected_run(reference_backend(), problem);
  for (std::size_t i = 0; i < expected.results.size(); ++i) {
    OpRun actual = expected;
    actual.results[i].bytes[3] ^= std::byte{0x80};  // changes the sign of the first element
    EXPECT_EQ(differences(actual, expected, op_case.tolerance).size(), 1U);
  }
}

}  // namespace
}  // namespace bitaxon::test
