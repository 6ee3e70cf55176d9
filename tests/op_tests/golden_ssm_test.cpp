// Compares the SSM ops with recorded blocks of the original program.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "bitaxon/ops.h"
#include "op_tests/step_session.h"
#include "support/backends.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr double kBound = 1e-5;  // bound on the relative L2 error, see tests/golden/README.md

/// One SSM block with its packed parameters and the state of two sequences.
class SsmBlock {
 public:
  explicit SsmBlock(const std::string& name, ScheduleOptions options = {})
      : file_(Checkpoint::open(golden_dir() / "ops" / (name + ".safetensors"))),
        session_(reference_backend(), 2, options) {
    const StoredShape in_proj = info_of(file_, "w.in_proj.weight").shape;
    d_model_ = in_proj[1];
    d_inner_ = in_proj[0] / 2;
    d_state_ = info_of(file_, "w.A_log").shape[1];
    d_conv_ = info_of(file_, "w.conv1d.weight").shape[1];
    tail_ = session_.add_state(DType::f32, {d_conv_ - 1, d_inner_});
    h_ = session_.add_state(DType::f32, {d_state_, d_inner_});
  }

  struct Outputs {
    std::vector<float> u, bcr, gated, y;
  };
  Outputs run(std::span<const std::uint32_t> n_rows, std::span<const float> x) {
    const SessionInput inputs[] = {rows_of(x, d_model_)};
    auto out = session_.run(n_rows, inputs, [&](const StepSession::Context& c) {
      const auto [u, z] = ssm_in(c.inputs[0],
                                 {.norm = {},
                                  .in_proj = weight(c, "in_proj.weight", {2 * d_inner_, d_model_}),
                                  .conv_weight = weight(c, "conv1d.weight", {d_inner_, d_conv_}),
                                  .conv_bias = weight(c, "conv1d.bias", {1, d_inner_})},
                                 0, c.state(tail_));
      const Tensor bcr = linear(u, weight(c, "x_proj.weight", {2 * d_state_ + 1, d_inner_}));
      const Tensor gated = scan(c, u, bcr, z);
      return std::vector{u, bcr, gated,
                         linear(gated, weight(c, "out_proj.weight", {d_model_, d_inner_}))};
    });
    return {out[0], out[1], out[2], out[3]};
  }
  Outputs run(std::span<const float> x) {
    const auto n = static_cast<std::uint32_t>(static_cast<std::int64_t>(x.size()) / d_model_);
    return run(std::span(&n, 1), x);
  }

  /// Runs only the scan, without the effect of its gate: every z is so large that SiLU(z) equals z,
  /// and the result is divided by z.
  std::vector<float> scan_without_gate(std::span<const float> u, std::span<const float> bcr) {
    constexpr float kGate = 64;
    const std::vector<float> z(u.size(), kGate);
    const SessionInput inputs[] = {rows_of(u, d_inner_), rows_of(bcr, 2 * d_state_ + 1),
                                   rows_of(z, d_inner_)};
    const auto n = static_cast<std::uint32_t>(static_cast<std::int64_t>(u.size()) / d_inner_);
    auto y = session_.run(n, inputs, [&](const StepSession::Context& c) {
      return std::vector{scan(c, c.inputs[0], c.inputs[1], c.inputs[2])};
    })[0];
    for (float& value : y) value /= kGate;
    return y;
  }

  /// Compares the state of sequence g with the recorded tail [K-1, E] and the recorded h [E, N].
  /// The op stores h as [N, E], so it is transposed first.
  void expect_state(std::uint32_t g, std::span<const float> tail, std::span<const float> h,
                    const std::string& what) {
    if (!tail.empty())
      expect_close(session_.read_state(tail_, g), tail, d_conv_ - 1, kBound, what + ".conv_cache");
    const auto ours = session_.read_state(h_, g);
    std::vector<float> transposed(ours.size());
    for (std::size_t n = 0; n < static_cast<std::size_t>(d_state_); ++n)
      for (std::size_t e = 0; e < static_cast<std::size_t>(d_inner_); ++e)
        transposed[e * static_cast<std::size_t>(d_state_) + n] =
            ours[n * static_cast<std::size_t>(d_inner_) + e];
    expect_close(transposed, h, d_inner_, kBound, what + ".ssm_state");
  }

  std::vector<float> recorded(const std::string& name) const { return read_f32(file_, name); }
  std::int64_t d_model() const { return d_model_; }
  std::int64_t d_inner() const { return d_inner_; }
  std::int64_t d_state() const { return d_state_; }

 private:
  Tensor weight(const StepSession::Context& c, const std::string& name,
                std::array<std::int64_t, 2> shape) {
    return c.graph.weight(
        packed_weight(session_.backend(), file_, "w." + name, {1, shape[0], shape[1]}));
  }
  Tensor scan(const StepSession::Context& c, const Tensor& u, const Tensor& bcr, const Tensor& z) {
    return selective_scan(u, bcr, {}, z,
                          {.dt_weight = weight(c, "dt_proj.weight", {d_inner_, 1}),
                           .dt_bias = weight(c, "dt_proj.bias", {1, d_inner_}),
                           .a_log = weight(c, "A_log", {d_inner_, d_state_}),
                           .skip = weight(c, "D", {1, d_inner_})},
                          {.clip = TimeStepClip{1e-4F, 100}}, c.state(h_));
  }

  Checkpoint file_;
  StepSession session_;
  std::int64_t d_model_ = 0, d_inner_ = 0, d_state_ = 0, d_conv_ = 0;
  std::int32_t tail_ = 0, h_ = 0;
};

/// Columns [first, first + n) of every row. A row has `cols` columns.
std::vector<float> columns(std::span<const float> rows, std::int64_t cols, std::int64_t first,
                           std::int64_t n) {
  std::vector<float> out;
  for (std::size_t at = static_cast<std::size_t>(first); at < rows.size();
       at += static_cast<std::size_t>(cols))
    out.insert(out.end(), rows.begin() + static_cast<std::ptrdiff_t>(at),
               rows.begin() + static_cast<std::ptrdiff_t>(at) + n);
  return out;
}

class GoldenSsm : public testing::TestWithParam<const char*> {};

TEST_P(GoldenSsm, AgreesWithTheRecordingForEveryLength) {
  for (std::int64_t n : {1, 7, 64, 65, 130}) {
    const std::string length = fmt::format("L{}", n);
    SsmBlock block(GetParam());
    const auto out = block.run(block.recorded(length + ".x"));
    expect_close(out.y, block.recorded(length + ".y"), n, kBound, length + ".y");
    expect_close(out.u, block.recorded(length + ".scan_x"), n, kBound, length + ".scan_x");
    const std::int64_t states = block.d_state();
    const std::int64_t cols = 2 * states + 1;
    expect_close(columns(out.bcr, cols, 0, states), block.recorded(length + ".scan_B"), n, kBound,
                 length + ".scan_B");
    expect_close(columns(out.bcr, cols, states, states), block.recorded(length + ".scan_C"), n,
                 kBound, length + ".scan_C");
    block.expect_state(0, block.recorded(length + ".conv_cache"),
                       block.recorded(length + ".ssm_state"), length);
  }
}

TEST_P(GoldenSsm, ComputesTheRecordedTimeSteps) {
  SsmBlock block(GetParam());
  const auto out = block.run(block.recorded("L130.x"));
  const auto r = columns(out.bcr, 2 * block.d_state() + 1, 2 * block.d_state(), 1);
  const auto weight = block.recorded("w.dt_proj.weight");
  const auto bias = block.recorded("w.dt_proj.bias");
  std::vector<float> dt;
  for (float value : r)
    for (std::size_t e = 0; e < weight.size(); ++e) {
      const double softplus =
          std::log1p(std::exp(static_cast<double>(value * weight[e] + bias[e])));
      dt.push_back(static_cast<float>(std::fmin(std::fmax(softplus, 1e-4), 100)));
    }
  expect_close(dt, block.recorded("L130.scan_dt"), 130, kBound, "L130.scan_dt");
}

TEST_P(GoldenSsm, TheScanWithoutItsGateAgreesWithTheRecording) {
  for (std::int64_t n : {1, 7, 64, 65, 130}) {
    const std::string length = fmt::format("L{}", n);
    const auto bcr = SsmBlock(GetParam()).run(SsmBlock(GetParam()).recorded(length + ".x")).bcr;
    SsmBlock block(GetParam());
    expect_close(block.scan_without_gate(block.recorded(length + ".scan_x"), bcr),
                 block.recorded(length + ".scan_y"), n, kBound, length + ".scan_y");
  }
}

TEST_P(GoldenSsm, TwoSequencesInOneStepAgreeWithTheRecording) {
  SsmBlock block(GetParam());
  const std::uint32_t n_rows[] = {7, 7};
  const auto out = block.run(n_rows, block.recorded("batch.x"));
  expect_close(out.y, block.recorded("batch.y"), 14, kBound, "batch.y");
  const auto tail = block.recorded("batch.conv_cache");
  const auto h = block.recorded("batch.ssm_state");
  for (std::uint32_t g = 0; g < 2; ++g)
    block.expect_state(g, std::span(tail).subspan(g * tail.size() / 2, tail.size() / 2),
                       std::span(h).subspan(g * h.size() / 2, h.size() / 2),
                       fmt::format("batch, sequence {}", g));
}

TEST_P(GoldenSsm, CarriesStateBetweenSteps) {
  for (const bool reuse : {true, false}) {
    SsmBlock block(GetParam(), {.reuse = reuse});
    const auto prefill = block.recorded("decode.prefill_x");
    expect_close(block.run(prefill).y, block.recorded("decode.prefill_y"),
                 static_cast<std::int64_t>(prefill.size()) / block.d_model(), kBound,
                 "decode.prefill_y");
    const auto steps = block.recorded("decode.step_x");
    const auto cols = static_cast<std::size_t>(block.d_model());
    std::vector<float> y;
    for (std::size_t at = 0; at < steps.size(); at += cols) {
      const auto row = block.run(std::span(steps).subspan(at, cols)).y;
      y.insert(y.end(), row.begin(), row.end());
    }
    expect_close(y, block.recorded("decode.step_y"), static_cast<std::int64_t>(y.size() / cols),
                 kBound, "decode.step_y");
    block.expect_state(0, block.recorded("decode.conv_cache"), block.recorded("decode.ssm_state"),
                       "decode");
    const auto more = block.run(block.recorded("decode.cont_x")).y;
    expect_close(more, block.recorded("decode.cont_y"),
                 static_cast<std::int64_t>(more.size() / cols), kBound, "decode.cont_y");
    block.expect_state(0, {}, block.recorded("decode.cont_ssm_state"), "decode.cont");
  }
}

TEST_P(GoldenSsm, AnySplitGivesTheSameBits) {
  const auto whole = SsmBlock(GetParam()).run(SsmBlock(GetParam()).recorded("L65.x")).y;
  for (const std::size_t piece : {1U, 2U, 3U, 17U, 64U}) {
    SsmBlock block(GetParam());
    const auto x = block.recorded("L65.x");
    const auto cols = static_cast<std::size_t>(block.d_model());
    std::vector<float> y;
    for (std::size_t at = 0; at < x.size(); at += piece * cols) {
      const auto rows = std::span(x).subspan(at, std::min(piece * cols, x.size() - at));
      const auto out = block.run(rows).y;
      y.insert(y.end(), out.begin(), out.end());
    }
    EXPECT_EQ(y, whole) << "in pieces of " << piece;
  }
}

INSTANTIATE_TEST_SUITE_P(Recorded, GoldenSsm, testing::Values("ssm", "ssm_wide", "ssm_clip"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace bitaxon::test
