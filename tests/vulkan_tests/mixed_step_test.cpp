// Tests a step that feeds a chunk of a prompt and several sequences that decode. Each sequence must
// get the same result as when it runs alone, within the tolerance of exact precision. The bits
// differ, because the number of rows decides which kernels run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "support/borrowed_backend.h"
#include "support/small_models.h"
#include "support/tensors.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

constexpr double kExactBound = 5e-5;
constexpr std::size_t kChunk = 200;
constexpr std::size_t kDecoding = 7;

void expect_close_states(const StateSnapshot& actual, const StateSnapshot& expected,
                         std::size_t sequence) {
  ASSERT_EQ(actual.tensors.size(), expected.tensors.size());
  // The last two tensors are the tokens of the context, and the token to feed back.
  const std::size_t n_floats = expected.tensors.size() - 2;
  for (std::size_t i = n_floats; i < expected.tensors.size(); ++i)
    EXPECT_EQ(actual.tensors[i], expected.tensors[i]) << "sequence " << sequence;
  for (std::size_t i = 0; i < n_floats; ++i) {
    const auto floats = [i](const StateSnapshot& snapshot) {
      std::vector<float> values(snapshot.tensors[i].size() / sizeof(float));
      std::memcpy(values.data(), snapshot.tensors[i].data(), snapshot.tensors[i].size());
      return values;
    };
    EXPECT_LE(relative_l2(floats(actual), floats(expected)), 4 * kExactBound)
        << "tensor " << i << " of sequence " << sequence;
  }
}

TEST(VulkanMixedStep, AgreesWithEachSequenceRunAlone) {
  const BitAxonConfig config = small_config();
  const auto n_vocab = static_cast<std::size_t>(config.vocab_size);
  Model model =
      Model::random(borrowed(vulkan_backend()), config.spec(), 1,
                    {.precision = Precision::exact, .run_ahead = 1, .n_slots = kDecoding + 2});
  const auto chunk = random_ids(kChunk, config.vocab_size, 1);
  std::vector<std::vector<std::int32_t>> prompts;
  std::vector<State> states;
  std::vector<float> expected(kDecoding * n_vocab), actual(kDecoding * n_vocab);
  std::vector<StateSnapshot> after;
  for (std::uint32_t g = 0; g < kDecoding; ++g) {
    prompts.push_back(random_ids(5 + 9 * g, config.vocab_size, 2 + g));
    const std::span<const std::int32_t> prompt = prompts.back();
    State alone = model.new_state();
    model.feed(alone, prompt.first(prompt.size() - 1), StepOutput::none);
    model.feed(alone, prompt.last(1), StepOutput::last_logits);
    model.read_logits(std::span(expected).subspan(g * n_vocab, n_vocab));
    after.push_back(alone.snapshot());
    states.push_back(model.new_state());
    model.feed(states.back(), prompt.first(prompt.size() - 1), StepOutput::none);
  }
  State reading = model.new_state();
  const auto submit = [&](StepOutput output) {
    std::vector<SegmentInput> segments = {{&reading, chunk, {}, StepOutput::none}};
    for (std::size_t g = 0; g < kDecoding; ++g)
      segments.push_back({&states[g], std::span(prompts[g]).last(1), {.temperature = 0}, output});
    return model.submit(segments);
  };
  submit(StepOutput::last_logits);
  model.read_logits(actual);
  expect_close(actual, expected, kDecoding, kExactBound, "logits beside a chunk");
  for (std::size_t g = 0; g < kDecoding; ++g)
    expect_close_states(states[g].snapshot(), after[g], g);
  State alone = model.new_state();
  model.feed(alone, chunk, StepOutput::none);
  expect_close_states(reading.snapshot(), alone.snapshot(), kDecoding);

  // The step is taken back and repeated with a greedy sampler. For each sequence, the sampler must
  // return the token with the largest logit.
  for (State& state : states) state.rewind(1);
  reading.rewind(1);
  const auto tokens = model.wait(submit(StepOutput::token)).tokens;
  ASSERT_EQ(tokens.size(), kDecoding + 1);
  EXPECT_EQ(tokens[0], StepResult::kNotSampled);
  for (std::size_t g = 0; g < kDecoding; ++g) {
    const auto row = std::span(actual).subspan(g * n_vocab, n_vocab);
    EXPECT_EQ(tokens[g + 1], std::ranges::max_element(row) - row.begin()) << "sequence " << g;
  }
}

}  // namespace
}  // namespace bitaxon::test
