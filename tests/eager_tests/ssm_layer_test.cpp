// Tests of the state-space layer on arrays.
#include "eager/ssm_layer.h"

#include <gtest/gtest.h>

#include "bitaxon/error.h"
#include "eager_tests/recorded_layers.h"
#include "support/backends.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr double kBound = 1e-5;  // bound on the relative L2 error, see tests/golden/README.md

TEST(SsmLayer, ABatchAgreesWithTheRecording) {
  RecordedSsm ssm(cpu_device());
  std::optional<SsmState> state;
  const auto y = ssm.layer->run(2, 7, ssm.recorded("batch.x"), state);
  expect_close(y, ssm.recorded("batch.y"), 14, kBound, "batch.y");
  expect_close(state->tail, ssm.recorded("batch.conv_cache"), 2, kBound, "batch.conv_cache");
  expect_close(state->h, ssm.recorded("batch.ssm_state"), 2, kBound, "batch.ssm_state");
}

TEST(SsmLayer, ContinuesFromAState) {
  RecordedSsm ssm(cpu_device());
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
  RecordedSsm ssm(cpu_device());
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
  RecordedSsm ssm(cpu_device());
  std::optional<SsmState> state = SsmState{.tail = {1, 2, 3}, .h = {}};
  EXPECT_THROW(ssm.layer->run(2, 7, ssm.recorded("batch.x"), state), Error);
  EXPECT_EQ(state->tail.size(), 3U);
}

}  // namespace
}  // namespace bitaxon::test
