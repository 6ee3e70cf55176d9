// Properties of gradients and updates that need no recorded numbers.
#include "training/tuner.h"

#include <gtest/gtest.h>

#include <cmath>

#include "bitaxon/devices.h"
#include "support/small_models.h"
#include "support/tensors.h"
#include "support/tuners.h"
#include "training/orpo.h"

namespace bitaxon::test {
namespace {

std::shared_ptr<Backend> device(const std::string& selector, int n_threads = 1) {
  return open_device(selector, {.n_threads = n_threads}).backend;
}

TunerOptions small_options(AdapterKind kind) {
  TunerOptions options;
  options.adapter.kind = kind;
  options.adapter.rank = 3;
  options.max_tokens = 700;
  return options;
}

/// A tuner of a random model, with an adapter whose B is not 0.
Tuner make(const std::shared_ptr<Backend>& backend, const TunerOptions& options) {
  Tuner tuner(BaseModel::random(small_config().spec(), 7), backend, options);
  randomize_b(tuner);
  return tuner;
}

TrainSequence sequence(std::size_t n, std::uint32_t seed, std::size_t n_prompt = 2) {
  return random_sequence(n, small_config().vocab_size, seed, n_prompt);
}

TEST(TunerGradients, DoNotDependOnTheNumberOfThreads) {
  for (const AdapterKind kind : {AdapterKind::lora, AdapterKind::dora}) {
    std::vector<std::vector<float>> found;
    for (const int n_threads : {1, 2, 5}) {
      Tuner tuner = make(device("cpu", n_threads), small_options(kind));
      found.push_back(gradients(tuner, {sequence(90, 1), sequence(30, 2)}).values);
    }
    EXPECT_EQ(found[0], found[1]);
    EXPECT_EQ(found[0], found[2]);
  }
}

TEST(TunerGradients, AreTheSameWhenStepsCutASequence) {
  const std::vector<TrainSequence> sequences = {sequence(23, 3), sequence(600, 4)};
  std::vector<float> whole;
  for (const std::int64_t step_rows : {512, 64, 7}) {
    TunerOptions options = small_options(AdapterKind::dora);
    options.step_rows = step_rows;
    Tuner tuner = make(device("cpu", 2), options);
    const std::vector<float> found = gradients(tuner, sequences).values;
    if (whole.empty()) whole = found;
    EXPECT_LE(relative_l2(found, whole), 1e-6) << step_rows;
  }
}

TEST(TunerGradients, HaveTheSameBitsIfActivationsAreKept) {
  const std::vector<TrainSequence> sequences = {sequence(23, 3), sequence(90, 4)};
  for (const AdapterKind kind : {AdapterKind::lora, AdapterKind::dora})
    for (const std::int64_t step_rows : {512, 64, 7}) {
      TunerOptions options = small_options(kind);
      options.adapter.dropout = 0.2;
      options.step_rows = step_rows;
      Tuner again = make(device("cpu", 2), options);
      options.recompute = false;
      Tuner kept = make(device("cpu", 2), options);
      EXPECT_EQ(gradients(kept, sequences).values, gradients(again, sequences).values);
      EXPECT_LT(kept.flops_of(sequences), again.flops_of(sequences));
    }
}

TEST(TunerGradients, OfPackedSequencesAreTheSumOfEach) {
  Tuner tuner = make(device("cpu", 2), small_options(AdapterKind::lora));
  const TrainSequence a = sequence(40, 5), b = sequence(33, 6);
  const FoundGradients both = gradients(tuner, {a, b});
  const FoundGradients only_a = gradients(tuner, {a});
  const FoundGradients only_b = gradients(tuner, {b});
  std::vector<float> sum(both.values.size());
  const auto n = static_cast<double>(both.result.n_targets);
  const double share_a = static_cast<double>(only_a.result.n_targets) / n;
  const double share_b = static_cast<double>(only_b.result.n_targets) / n;
  for (std::size_t i = 0; i < sum.size(); ++i)
    sum[i] =
        static_cast<float>(share_a * double{only_a.values[i]} + share_b * double{only_b.values[i]});
  EXPECT_LE(relative_l2(both.values, sum), 1e-6);
  EXPECT_NEAR(both.result.loss, share_a * only_a.result.loss + share_b * only_b.result.loss, 1e-6);
}

TEST(TunerGradients, ArriveInTheVectorOfTheUpdate) {
  Tuner tuner = make(device("cpu", 2), small_options(AdapterKind::dora));
  const std::vector<float> before = tuner.read(ParameterVector::value);
  OptimizerSettings settings;
  settings.warmup_steps = 0;
  const UpdateResult result = tuner.update(std::vector{sequence(40, 5)}, settings);
  EXPECT_TRUE(result.applied);
  EXPECT_TRUE(std::isfinite(result.loss));
  EXPECT_GT(result.grad_norm, 0);
  EXPECT_EQ(tuner.n_updates(), 1);
  EXPECT_NE(before, tuner.read(ParameterVector::value));
}

TEST(TunerUpdates, WithoutTargetsChangeNothing) {
  Tuner tuner = make(device("cpu", 2), small_options(AdapterKind::lora));
  const std::vector<float> before = tuner.read(ParameterVector::value);
  const UpdateResult result = tuner.update(std::vector{sequence(10, 5, 11)}, {});
  EXPECT_FALSE(result.applied);
  EXPECT_EQ(result.n_targets, 0);
  EXPECT_EQ(before, tuner.read(ParameterVector::value));
}

TEST(TunerUpdates, LearnASequenceByHeart) {
  Tuner tuner = make(device("cpu", 2), small_options(AdapterKind::dora));
  OptimizerSettings settings;
  settings.learning_rate = 2e-3;
  settings.warmup_steps = 5;
  settings.max_steps = 60;
  const std::vector<TrainSequence> sequences = {sequence(24, 8)};
  const double first = tuner.update(sequences, settings).loss;
  for (int i = 1; i < 60; ++i) tuner.update(sequences, settings);
  EXPECT_LT(tuner.evaluate(sequences).mean(), first / 2);
}

TEST(TunerEvaluation, IsTheLossWithoutDropout) {
  TunerOptions options = small_options(AdapterKind::lora);
  Tuner plain = make(device("cpu", 2), options);
  options.adapter.dropout = 0.3;
  Tuner dropping = make(device("cpu", 2), options);
  const std::vector<TrainSequence> sequences = {sequence(40, 9)};
  EXPECT_EQ(plain.evaluate(sequences).loss, dropping.evaluate(sequences).loss);
  EXPECT_NE(gradients(plain, sequences).result.loss, gradients(dropping, sequences).result.loss);
}

TEST(OrpoTerms, AgreeWithDifferences) {
  constexpr double kStep = 1e-6;
  for (const OrpoPenalty form : {OrpoPenalty::inside, OrpoPenalty::outside})
    for (const double c : {-1e-4, -0.3, -2.0, -30.0})
      for (const double r : {-1e-3, -0.6, -9.0}) {
        const OrpoTerms terms = orpo_terms(c, r, 0.1, form);
        const double h = kStep * std::abs(c), k = kStep * std::abs(r);
        const auto penalty = [&](double x, double y) {
          return orpo_terms(x, y, 0.1, form).penalty;
        };
        EXPECT_NEAR(terms.d_chosen, (penalty(c + h, r) - penalty(c - h, r)) / (2 * h),
                    1e-5 * (1 + std::abs(terms.d_chosen)));
        EXPECT_NEAR(terms.d_rejected, (penalty(c, r + k) - penalty(c, r - k)) / (2 * k),
                    1e-5 * (1 + std::abs(terms.d_rejected)));
      }
}

TEST(OrpoTerms, AreFiniteForACertainAnswer) {
  const OrpoTerms terms = orpo_terms(0, -1, 0.1, OrpoPenalty::inside);
  EXPECT_TRUE(std::isfinite(terms.penalty));
  EXPECT_TRUE(std::isfinite(terms.d_chosen));
}

}  // namespace
}  // namespace bitaxon::test
