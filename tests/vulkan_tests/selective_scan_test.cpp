// Tests of the variants of the selective scan. They check which variant is chosen. They check that
// the variants for GPUs agree with the reference on any test device, and that the result does not
// depend on how rows are split into steps.
#include "vulkan/kernels/selective_scan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "bitaxon/error.h"
#include "bitaxon/ops.h"
#include "op_tests/step_session.h"
#include "support/backends.h"
#include "support/op_case_params.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

using vulkan::choose_scan;
using vulkan::DeviceCaps;
using vulkan::DeviceType;

DeviceCaps caps_of(DeviceType type) {
  DeviceCaps caps;
  caps.type = type;
  return caps;
}

/// The device under test, reported as a GPU. On a GPU, there are more threads than channels.
Backend& gpu_like_backend() {
  static Backend& backend = []() -> Backend& {
    vulkan::VulkanOptions options = test_options();
    options.limit_caps = [](DeviceCaps& caps) { caps.type = DeviceType::discrete; };
    return share(vulkan::open_vulkan_backend(options));
  }();
  return backend;
}

std::vector<NamedCase> scan_cases(unsigned some, unsigned without) {
  std::vector<NamedCase> cases = named_cases(some, without);
  std::erase_if(cases, [](const NamedCase& c) {
    return c.op != "selective_scan" && c.op != "selective_scan_backward";
  });
  return cases;
}

class GpuLikeScanTest : public testing::TestWithParam<NamedCase> {};

TEST_P(GpuLikeScanTest, AgreesWithReference) {
  const OpCase& op_case = *GetParam().op_case;
  const OpProblem problem = problem_of(GetParam().op, op_case);
  const OpRun expected = expected_run(reference_backend(), problem);
  const OpRun run = run_op(gpu_like_backend(), problem);
  expect_agreement(run, expected, op_case.tolerance, "gpu-like");
  RecordProperty("largest_error",
                 fmt::format("{:.3f}", largest_error(run, expected, op_case.tolerance)));
}

constexpr unsigned kLong = kModel | kExhaustive;
INSTANTIATE_TEST_SUITE_P(Further, GpuLikeScanTest, testing::ValuesIn(scan_cases(kPlain, kLong)),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Exhaustive, GpuLikeScanTest, testing::ValuesIn(scan_cases(kLong, kPlain)),
                         test_name);

TEST(ChooseScan, CpuScansEachChannelWithOneLane) {
  const auto variant =
      choose_scan(caps_of(DeviceType::cpu), {.n_rows = 512, .d_inner = 7680, .d_state = 16});
  EXPECT_EQ(variant.lanes, 1U);
  EXPECT_EQ(variant.rows_ahead, 1U);
  EXPECT_EQ(variant.chunk_rows, 0);
}

TEST(ChooseScan, GpuSplitsLongStepsIntoChunks) {
  for (DeviceType type : {DeviceType::discrete, DeviceType::integrated, DeviceType::virtual_gpu}) {
    const DeviceCaps caps = caps_of(type);
    for (std::int64_t n_rows : {1, 2, 16, 128, 255})
      EXPECT_EQ(choose_scan(caps, {n_rows, 7680, 16}).chunk_rows, 0) << n_rows;
    for (std::int64_t n_rows : {256, 512})
      EXPECT_GT(choose_scan(caps, {n_rows, 7680, 16}).chunk_rows, 0) << n_rows;
    EXPECT_EQ(choose_scan(caps, {512, 1 << 20, 16}).chunk_rows, 0)
        << "so many channels need no chunks";
  }
}

TEST(ChooseScan, LanesDoNotDependOnTheNumberOfRows) {
  const DeviceCaps caps = caps_of(DeviceType::discrete);
  for (std::int64_t d_state : {1, 2, 3, 4, 5, 16, 64, 99, 256}) {
    const auto one = choose_scan(caps, {1, 7680, d_state});
    EXPECT_LE(one.lanes, d_state);
    EXPECT_GE(one.rows_ahead, 1U);
    for (std::int64_t n_rows : {2, 17, 512}) {
      const auto several = choose_scan(caps, {n_rows, 7680, d_state});
      EXPECT_EQ(several.lanes, one.lanes);
      EXPECT_EQ(several.rows_ahead, one.rows_ahead);
    }
  }
}

TEST(ChooseScan, RefusesMoreStatesThanRegistersHold) {
  for (DeviceType type : {DeviceType::cpu, DeviceType::discrete}) {
    EXPECT_NO_THROW(choose_scan(caps_of(type), {1, 8, 256}));
    EXPECT_THROW(choose_scan(caps_of(type), {1, 8, 257}), Error);
  }
}

/// The weights and inputs of one sequence. A test can split its rows into steps of any sizes.
class Sequence {
 public:
  static constexpr std::int64_t kRows = 40;
  static constexpr std::int64_t kInner = 21;
  static constexpr std::int64_t kState = 6;

  Sequence()
      : u_(values(kRows * kInner, 1)),
        bcr_(values(kRows * (2 * kState + 1), 1)),
        z_(values(kRows * kInner, 1)),
        dt_weight_(values(kInner, 1)),
        dt_bias_(values(kInner, 1)),
        a_log_(values(kInner * kState, 1)),
        skip_(values(kInner, 1)) {}

  struct Result {
    std::vector<float> y, h;
    friend bool operator==(const Result&, const Result&) = default;
  };
  Result run(Backend& backend, std::span<const std::uint32_t> steps) const {
    StepSession session(backend, 1);
    const std::int32_t h = session.add_state(DType::f32, {kState, kInner});
    Result result;
    std::int64_t row = 0;
    for (std::uint32_t n : steps) {
      const SessionInput inputs[] = {rows(u_, row, n, kInner), rows(bcr_, row, n, 2 * kState + 1),
                                     rows(z_, row, n, kInner)};
      const auto out = session.run(n, inputs, [&](const StepSession::Context& c) {
        const auto weight = [&](const Shape& shape, std::span<const float> from) {
          return c.graph.weight(packed_weight(backend, shape, from));
        };
        return std::vector{selective_scan(c.inputs[0], c.inputs[1], {}, c.inputs[2],
                                          {.dt_weight = weight({1, kInner, 1}, dt_weight_),
                                           .dt_bias = weight({1, 1, kInner}, dt_bias_),
                                           .a_log = weight({1, kInner, kState}, a_log_),
                                           .skip = weight({1, 1, kInner}, skip_)},
                                          {.clip = TimeStepClip{1e-4F, 100}}, c.state(h))};
      });
      result.y.insert(result.y.end(), out[0].begin(), out[0].end());
      row += n;
    }
    result.h = session.read_state(h, 0);
    return result;
  }

 private:
  std::vector<float> values(std::int64_t n, double spread) {
    std::vector<float> made(static_cast<std::size_t>(n));
    for (float& value : made) value = random_.centred(spread);
    return made;
  }
  static SessionInput rows(std::span<const float> all, std::int64_t first, std::uint32_t n,
                           std::int64_t cols) {
    return rows_of(
        all.subspan(static_cast<std::size_t>(first * cols), static_cast<std::size_t>(n * cols)),
        cols);
  }

  Random random_{"selective_scan steps"};
  std::vector<float> u_, bcr_, z_, dt_weight_, dt_bias_, a_log_, skip_;
};

TEST(SelectiveScan, GivesTheSameBitsHoweverRowsAreSplit) {
  const Sequence sequence;
  const std::vector<std::vector<std::uint32_t>> ways = {
      {1, 1, 38}, {7, 33}, {16, 17, 2, 1, 1, 1, 2}, std::vector<std::uint32_t>(40, 1)};
  for (Backend* backend : {&vulkan_backend(), &gpu_like_backend()}) {
    const auto whole = sequence.run(*backend, std::array{40U});
    for (const auto& way : ways) {
      ASSERT_EQ(std::accumulate(way.begin(), way.end(), 0U), 40U);
      EXPECT_EQ(sequence.run(*backend, way), whole) << way.size() << " steps";
    }
  }
}

}  // namespace
}  // namespace bitaxon::test
