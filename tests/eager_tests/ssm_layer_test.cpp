// Tests of the state-space layer on arrays.
#include "eager/ssm_layer.h"

#include <gtest/gtest.h>

#include "bitaxon/error.h"
#include "op_tests/step_session.h"
#include "support/backends.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr double kBound = 1e-5;  // bound on the relative L2 error, see tests/golden/README.md

class RecordedSsm {
 public:
  RecordedSsm()
      : file_(Checkpoint::open(golden_dir() / "ops" / "ssm.safetensors")),
        device_(std::make_shared<EagerDevice>(open_device("cpu", {.n_threads = 1}).backend)) {
    const StoredShape in_proj = info_of(file_, "w.in_proj.weight").shape;
    d_model = in_proj[1];
    const std::int64_t e = in_proj[0] / 2;
    const std::int64_t n = info_of(file_, "w.A_log").shape[1];
    const std::int64_t k = info_of(file_, "w.conv1d.weight").shape[1];
    const auto weight = [&](const std::string& name, const Shape& shape) {
      return packed_weight(device_->backend(), file_, "w." + name, shape);
    };
    layer = std::make_unique<SsmLayer>(
        device_,
        SsmWeights{.in_proj = weight("in_proj.weight", {1, 2 * e, d_model}),
                   .conv_weight = weight("conv1d.weight", {1, e, k}),
                   .conv_bias = weight("conv1d.bias", {1, 1, e}),
                   .x_proj = weight("x_proj.weight", {1, 2 * n + 1, e}),
                   .dt_weight = weight("dt_proj.weight", {1, e, 1}),
                   .dt_bias = weight("dt_proj.bias", {1, 1, e}),
                   .a_log = weight("A_log", {1, e, n}),
                   .skip = weight("D", {1, 1, e}),
                   .out_proj = weight("out_proj.weight", {1, d_model, e})},
        TimeStepClip{1e-4F, 100});
  }
  std::vector<float> recorded(const std::string& name) const { return read_f32(file_, name); }
  std::int64_t rows(std::span<const float> x) const {
    return static_cast<std::int64_t>(x.size()) / d_model;
  }

  std::int64_t d_model = 0;
  std::unique_ptr<SsmLayer> layer;

 private:
  Checkpoint file_;
  std::shared_ptr<EagerDevice> device_;
};

TEST(SsmLayer, ABatchAgreesWithTheRecording) {
  RecordedSsm ssm;
  std::optional<SsmState> state;
  const auto y = ssm.layer->run(2, 7, ssm.recorded("batch.x"), state);
  expect_close(y, ssm.recorded("batch.y"), 14, kBound, "batch.y");
  expect_close(state->tail, ssm.recorded("batch.conv_cache"), 2, kBound, "batch.conv_cache");
  expect_close(state->h, ssm.recorded("batch.ssm_state"), 2, kBound, "batch.ssm_state");
}

TEST(SsmLayer, ContinuesFromAState) {
  RecordedSsm ssm;
  std::optional<SsmState> state;
  const auto prefill = ssm.recorded("decode.prefill_x");
  expect_close(ssm.layer->run(1, ssm.rows(prefill), prefill, state),
               ssm.recorded("decode.prefill_y"), ssm.rows(prefill), kBound, "prefill");
  const auto steps = ssm.recorded("decode.step_x");
  const auto width = static_cast<std::size_t>(ssm.d_model);
  std::vector<float> y;
  for (std::size_t at = 0; at < steps.size(); at += width) {
    const auto row = ssm.layer->run(1, 1, std::span(steps).subspan(at, width), state);
    y.insert(y.end(), row.begin(), row.end());
  }
  expect_close(y, ssm.recorded("decode.step_y"), ssm.rows(steps), kBound, "steps");
  expect_close(state->h, ssm.recorded("decode.ssm_state"), 1, kBound, "ssm_state");
}

TEST(SsmLayer, ManySequencesOfManyRowsGiveTheBitsOfEachAlone) {
  RecordedSsm ssm;
  const auto some = ssm.recorded("L130.x");
  constexpr std::size_t kSequences = 35, kRows = 40;  // two groups, and several steps
  const std::size_t size = kRows * static_cast<std::size_t>(ssm.d_model);
  std::vector<float> x;
  for (std::size_t g = 0; g < kSequences; ++g)
    x.insert(x.end(), some.begin() + static_cast<std::ptrdiff_t>(g),
             some.begin() + static_cast<std::ptrdiff_t>(g + size));
  std::optional<SsmState> states;
  const auto y = ssm.layer->run(kSequences, kRows, x, states);
  for (const std::size_t g : {std::size_t{0}, std::size_t{31}, std::size_t{34}}) {
    std::optional<SsmState> state;
    const auto alone = ssm.layer->run(1, kRows, std::span(x).subspan(g * size, size), state);
    EXPECT_TRUE(
        std::equal(alone.begin(), alone.end(), y.begin() + static_cast<std::ptrdiff_t>(g * size)))
        << "sequence " << g;
    EXPECT_TRUE(std::equal(state->h.begin(), state->h.end(),
                           states->h.begin() + static_cast<std::ptrdiff_t>(g * state->h.size())))
        << "state of sequence " << g;
  }
}

TEST(SsmLayer, RefusesAStateOfAnotherSize) {
  RecordedSsm ssm;
  std::optional<SsmState> state = SsmState{.tail = {1, 2, 3}, .h = {}};
  EXPECT_THROW(ssm.layer->run(2, 7, ssm.recorded("batch.x"), state), Error);
  EXPECT_EQ(state->tail.size(), 3U);
}

}  // namespace
}  // namespace bitaxon::test
