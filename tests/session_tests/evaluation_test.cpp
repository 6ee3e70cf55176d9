// Tests of evaluate(): its results, and which logits and options it refuses.
#include "bitaxon/evaluation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "cpu/cpu_backend.h"
#include "support/borrowed_backend.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/wrapped_backend.h"

namespace bitaxon::test {
namespace {

/// Two models. A test can change the logits of the first model when they are downloaded.
class EvaluationTest : public testing::Test {
 protected:
  Evaluation evaluated(const std::function<void(std::span<float>)>& change) {
    backend_.change_download = [&](std::span<std::byte> bytes) {
      std::vector<float> logits(bytes.size() / sizeof(float));
      std::memcpy(logits.data(), bytes.data(), bytes.size());
      change(logits);
      std::memcpy(bytes.data(), logits.data(), bytes.size());
    };
    const auto ids = random_ids(8, config_.vocab_size, 1);
    return *evaluate(model_, &other_, ids, {});
  }

  BitAxonConfig config_ = small_config();
  std::shared_ptr<Backend> plain_ = cpu::open_cpu_backend({});
  WrappedBackend backend_{cpu::open_cpu_backend({})};
  Model model_ = Model::random(borrowed(backend_), config_.spec(), 1, {});
  Model other_ = Model::random(plain_, config_.spec(), 2, {});
};

TEST_F(EvaluationTest, RefusesEveryLogitThatIsNotFinite) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float odd : {infinity, -infinity, std::numeric_limits<float>::quiet_NaN()}) {
    const auto n = static_cast<std::size_t>(config_.vocab_size);
    expect_error([&] { evaluated([&](std::span<float> logits) { logits[2 * n + 5] = odd; }); },
                 ErrorKind::device, {"logits of token 2", "id 5"});
  }
}

TEST_F(EvaluationTest, HugeLogitsHaveAFiniteDivergence) {
  const Evaluation found = evaluated([](std::span<float> logits) {
    for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = i % 2 == 0 ? 3e38f : -3e38f;
  });
  EXPECT_TRUE(std::isfinite(found.divergence->mean_kl));
  EXPECT_GT(found.divergence->mean_kl, 1e37);
  EXPECT_TRUE(std::isfinite(found.model.nll_per_token()));
}

/// Scores the same text with two models, in windows of seven tokens and batches of `batch_size`
/// windows.
Evaluation evaluated_in_batches(const std::string& device, std::int64_t batch_size,
                                std::size_t n_ids) {
  const BitAxonConfig config = small_config();
  LoadOptions options;
  options.n_slots = static_cast<int>(batch_size);
  OpenModel first = open_random(device, 2, config, options);
  Model second = Model::random(first.backend, config.spec(), 2, options);
  std::vector<std::uint64_t> progress;
  const Evaluation found = *evaluate(first.model, &second, random_ids(n_ids, config.vocab_size, 1),
                                     {.seq_length = 7, .batch_size = batch_size},
                                     [&](std::uint64_t done) { progress.push_back(done); });
  EXPECT_TRUE(std::ranges::is_sorted(progress));
  EXPECT_EQ(progress.back(), n_ids - 1);
  return found;
}

TEST(EvaluationBatches, GiveTheSameBitsAsSingleWindows) {
  for (const char* device : {"reference", "cpu"})
    // With these lengths, the last batch is full or has fewer windows, and the last window is
    // complete or short.
    for (const std::size_t n_ids : {2U, 8U, 9U, 43U, 45U, 86U}) {
      const Evaluation one = evaluated_in_batches(device, 1, n_ids);
      EXPECT_EQ(one.windows, static_cast<std::int64_t>(n_ids + 5) / 7);
      for (const std::int64_t batch_size : {2, 4, 32}) {
        SCOPED_TRACE(fmt::format("{} {} {}", device, n_ids, batch_size));
        const Evaluation together = evaluated_in_batches(device, batch_size, n_ids);
        EXPECT_EQ(together.windows, one.windows);
        EXPECT_EQ(together.model.tokens, one.model.tokens);
        EXPECT_EQ(together.model.nll_sum, one.model.nll_sum);
        EXPECT_EQ(together.model.nll_squares, one.model.nll_squares);
        EXPECT_EQ(together.against.nll_sum, one.against.nll_sum);
        EXPECT_EQ(together.divergence->mean_kl, one.divergence->mean_kl);
        EXPECT_EQ(together.divergence->kl_99, one.divergence->kl_99);
        EXPECT_EQ(together.divergence->top1_agreement, one.divergence->top1_agreement);
      }
    }
}

TEST(EvaluationBatches, ScoreSequencesApartAsAlone) {
  const BitAxonConfig config = small_config();
  const auto backend = cpu::open_cpu_backend({});
  Model model = Model::random(backend, config.spec(), 2, {.n_slots = 4});
  const auto ids = random_ids(7 * 9, config.vocab_size, 1);
  Perplexity alone;
  for (std::size_t i = 0; i < ids.size(); i += 9) {
    const auto sequence = std::span(ids).subspan(i, 9);
    const Evaluation found = *evaluate(model, nullptr, sequence, {.seq_length = 8});
    alone.tokens += found.model.tokens;
    alone.nll_sum += found.model.nll_sum;
  }
  for (const std::int64_t batch_size : {1, 3, 4}) {
    const Evaluation found =
        *evaluate(model, nullptr, ids, {.seq_length = 8, .batch_size = batch_size, .apart = true});
    EXPECT_EQ(found.windows, 7);
    EXPECT_EQ(found.model.tokens, alone.tokens);
    EXPECT_NEAR(found.model.nll_sum, alone.nll_sum, 1e-9 * alone.nll_sum);
  }
  expect_error([&] { evaluate(model, nullptr, ids, {.seq_length = 9, .apart = true}); },
               ErrorKind::invalid_argument, {"apart", "multiple of 10", "63"});
}

TEST(ScoreAnswers, EachAnswerFollowsThePrompt) {
  const BitAxonConfig config = small_config();
  const auto backend = cpu::open_cpu_backend({});
  Model model = Model::random(backend, config.spec(), 2, {});
  const auto prompt = random_ids(9, config.vocab_size, 1);
  const std::vector<std::vector<std::int32_t>> answers = {{3}, {3, 4, 5}, {7, 4}, {3}};
  const std::vector<double> scores = *score_answers(model, prompt, answers);
  ASSERT_EQ(scores.size(), answers.size());
  const auto total = [&](std::vector<std::int32_t> ids) {
    return evaluate(model, nullptr, ids, {})->model.nll_sum;
  };
  for (std::size_t i = 0; i < answers.size(); ++i) {
    std::vector<std::int32_t> whole(prompt.begin(), prompt.end());
    whole.insert(whole.end(), answers[i].begin(), answers[i].end());
    EXPECT_NEAR(scores[i], total(whole) - total({prompt.begin(), prompt.end()}), 1e-9);
  }
  EXPECT_EQ(scores[0], scores[3]);
}

TEST(ScoreAnswers, RefusesBadIdsAndStops) {
  const auto backend = cpu::open_cpu_backend({});
  Model model = Model::random(backend, small_config().spec(), 2, {});
  const auto prompt = random_ids(9, 61, 1);
  const auto expect_refusal = [&](std::span<const std::int32_t> ids,
                                  std::vector<std::int32_t> answer, const char* expected) {
    const std::vector<std::vector<std::int32_t>> answers = {std::move(answer)};
    expect_error([&] { score_answers(model, ids, answers); }, ErrorKind::invalid_argument,
                 {expected});
  };
  expect_refusal(prompt, {}, "expected 1..512 tokens, got 0");
  expect_refusal(prompt, {1, 61}, "61");
  expect_refusal({}, {1}, "at least");
  const std::atomic<bool> interrupted = true;
  const std::vector<std::vector<std::int32_t>> answers = {{1}};
  EXPECT_FALSE(score_answers(model, prompt, answers, &interrupted).has_value());
}

TEST(EvaluationBatches, RunSeveralWindowsInOneStep) {
  WrappedBackend backend(cpu::open_cpu_backend({}));
  Model model = Model::random(borrowed(backend), small_config().spec(), 1, {.n_slots = 4});
  const auto n_steps = [&](std::int64_t batch_size) {
    const int before = backend.n_submitted();
    evaluate(model, nullptr, random_ids(57, 61, 1), {.seq_length = 7, .batch_size = batch_size});
    return backend.n_submitted() - before;
  };
  EXPECT_EQ(n_steps(1), 8);
  EXPECT_EQ(n_steps(4), 2);
  EXPECT_EQ(n_steps(3), 3);
}

TEST(EvaluationBatches, RefuseInvalidSizes) {
  const auto backend = cpu::open_cpu_backend({});
  Model model = Model::random(backend, small_config().spec(), 1, {});
  const auto ids = random_ids(8, 61, 1);
  const auto expect_refusal = [&](const EvaluationOptions& options, const char* expected) {
    expect_error([&] { evaluate(model, nullptr, ids, options); }, ErrorKind::invalid_argument,
                 {"batch size", expected});
  };
  expect_refusal({.batch_size = 0}, "expected 1..32, got 0");
  expect_refusal({.batch_size = 33}, "expected 1..32, got 33");
  expect_refusal({.batch_size = 2, .carry = true}, "expected 1..1 for a carried text, got 2");
}

}  // namespace
}  // namespace bitaxon::test
