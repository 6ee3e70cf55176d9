// Checks of the sample op for every backend. Its tokens are compared with a second, plain
// implementation of the rules, with recorded filters, and with the probabilities of a draw.
#include "support/sample_checks.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cases/op_case.h"
#include "support/plain_sampler.h"
#include "support/sample_op.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Returns a random element of `values`.
template <class T>
T pick(Random& random, std::initializer_list<T> values) {
  return values.begin()[random.below(static_cast<std::int64_t>(values.size()))];
}

PlainParams random_params(Random& random, std::int64_t vocab_size) {
  const auto v = static_cast<std::uint64_t>(vocab_size);
  PlainParams params;
  params.temperature = pick(random, {0.0F, 1e-38F, 0.1F, 0.6F, 1.0F, 1.0F, 2.0F, 1e30F});
  params.penalty = pick(random, {1.0F, 1.0F, 1.3F, 0.5F, 50.0F});
  params.top_k = pick<std::uint64_t>(random, {0, 0, 1, 2, 50, v - 1, v, v + 1, 4'000'000'000U});
  params.top_p = pick(random, {1.0, 1.0, 0.0, 1e-12, 0.1, 0.5, 0.9, 0.95, 0.999, 1 - 1e-12});
  params.min_p = pick(random, {0.0, 0.0, 1e-12, 0.01, 0.3, 1.0});
  params.seed = random.next();
  return params;
}

/// Random logits. Depending on the draw, they have ties, -infinity, and a wide or narrow spread.
std::vector<float> random_logits(Random& random, std::int64_t vocab_size) {
  const double spread = pick(random, {0.0, 0.1, 1.0, 3.0, 3.0, 10.0, 1000.0});
  const double grid = pick(random, {0.0, 0.0, 0.25, 2.0});
  const double masked = pick(random, {0.0, 0.0, 0.3, 0.9});
  std::vector<float> logits;
  for (std::int64_t i = 0; i < vocab_size; ++i) {
    const double value = static_cast<double>(random.centred(spread));
    logits.push_back(random.uniform(0, 1) < masked
                         ? -kInf
                         : static_cast<float>(grid == 0 ? value : std::round(value / grid) * grid));
  }
  return logits;
}

/// Runs one step of random segments. Compares the token of each segment with the plain
/// implementation.
void check_random_step(SampleOp& op, Random& random, std::int64_t vocab_size, int n_segments) {
  std::vector<std::vector<float>> logits;
  std::vector<SampleOp::Draw> draws(static_cast<std::size_t>(n_segments));
  for (std::size_t g = 0; g < draws.size(); ++g)
    logits.push_back(random_logits(random, vocab_size));
  for (std::size_t g = 0; g < draws.size(); ++g) {
    draws[g].logits = logits[g];
    for (std::int64_t i = 0; i < vocab_size; ++i) draws[g].seen.push_back(random.below(4) == 0);
    draws[g].params = random_params(random, vocab_size);
    draws[g].position = static_cast<std::uint32_t>(1 + random.below(0xFFFFFFF0));
  }
  const auto tokens = op.run(draws);
  for (std::size_t g = 0; g < draws.size(); ++g) {
    const PlainParams& p = draws[g].params;
    ASSERT_EQ(tokens[g], plain_sample(logits[g], draws[g].seen, p, draws[g].position))
        << fmt::format(
               "segment {}: vocabulary {}, temperature {}, penalty {}, top_k {}, top_p {}, "
               "min_p {}",
               g, vocab_size, p.temperature, p.penalty, p.top_k, p.top_p, p.min_p);
  }
}

TEST_P(ManySamples, AgreesWithThePlainImplementation) {
  Random random("sample/plain");
  for (int round = 0; round < GetParam().n_rounds && !HasFatalFailure(); ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    const std::int64_t vocab_size = round % 3 == 0 ? 1 + random.below(70) : 1 + random.below(5000);
    SampleOp op(backend(), vocab_size);
    check_random_step(op, random, vocab_size, static_cast<int>(1 + random.below(7)));
  }
}

TEST_P(ManySamples, AgreesWithThePlainImplementationForUnusualVocabularySizes) {
  Random random("sample/sizes");
  for (const std::int64_t vocab_size : {1, 2, 31, 32, 33, 1000, 1023, 1024, 1025, 32000, 200'000}) {
    SampleOp op(backend(), vocab_size);
    const int n_steps = vocab_size > 5000 ? 3 : 20;
    for (int step = 0; step < n_steps && !HasFatalFailure(); ++step)
      check_random_step(op, random, vocab_size, step == 0 ? kMaxSegments : 3);
  }
}

TEST_P(Sample, GreedyTakesTheLowestIdOfEqualLogits) {
  const std::vector<float> logits = {-1, 3, 2, 3, 3};
  EXPECT_EQ(SampleOp(backend(), 5, {false, false}).run_one(logits, {}), 1);
  EXPECT_EQ(SampleOp(backend(), 5).run_one(logits, {.temperature = 0}), 1);
  EXPECT_EQ(SampleOp(backend(), 5).run_one(logits, {.temperature = 1e-40F}), 1)
      << "3 / 1e-40 is infinite";
}

TEST_P(Sample, PenaltyDividesPositiveAndMultipliesNegative) {
  SampleOp op(backend(), 3, {.penalty = true, .draw = false});
  const std::vector<bool> first = {true, false, false};
  EXPECT_EQ(op.run_one(std::vector<float>{4, 2.5F, 1}, {.penalty = 1.5F}, first), 0);
  EXPECT_EQ(op.run_one(std::vector<float>{4, 2.5F, 1}, {.penalty = 2}, first), 1);
  EXPECT_EQ(op.run_one(std::vector<float>{-1, -1.5F, -9}, {.penalty = 1.2F}, first), 0);
  EXPECT_EQ(op.run_one(std::vector<float>{-1, -1.5F, -9}, {.penalty = 2}, first), 1);
  EXPECT_EQ(op.run_one(std::vector<float>{-1, -1.5F, -9}, {.penalty = 0.5F}, {false, true, true}),
            1)
      << "a penalty below 1 favors tokens of the context";
}

TEST_P(Sample, StagesThatAreAbsentDoNotRun) {
  const std::vector<float> logits = {4, 3};
  EXPECT_EQ(SampleOp(backend(), 2, {false, false}).run_one(logits, {.penalty = 100}, {true, false}),
            0);
  EXPECT_EQ(SampleOp(backend(), 2, {true, false}).run_one(logits, {.temperature = 1e30F}), 0);
}

TEST_P(Sample, LogitsThatAreNotFiniteGiveNoToken) {
  for (const SamplerStructure structure : {SamplerStructure{false, false}, {true, true}}) {
    SampleOp op(backend(), 3, structure);
    EXPECT_EQ(op.run_one(std::vector<float>{1, kNan, 2}, {}), -1);
    EXPECT_EQ(op.run_one(std::vector<float>{kNan, 1, 2}, {}), -1);
    EXPECT_EQ(op.run_one(std::vector<float>{1, 2, kNan}, {}), -1);
    EXPECT_EQ(op.run_one(std::vector<float>{1, kInf, 2}, {}), -1);
    EXPECT_EQ(op.run_one(std::vector<float>{-kInf, -kInf, -kInf}, {}), -1);
    EXPECT_EQ(op.run_one(std::vector<float>{-kInf, 0, -kInf}, {}), 1);
  }
  // An infinite logit must give no token, even if a penalty changes this logit.
  EXPECT_EQ(
      SampleOp(backend(), 2).run_one(std::vector<float>{kInf, 1}, {.penalty = kInf}, {true, false}),
      -1);
}

/// For each token, whether it is drawn at least once in n_steps steps of kMaxSegments draws.
std::vector<bool> drawn(SampleOp& op, std::span<const float> logits, const PlainParams& params,
                        std::uint32_t n_steps) {
  const std::vector<SampleOp::Draw> draws(kMaxSegments, {logits, {}, params, 1});
  std::vector<bool> seen(logits.size(), false);
  op.run(draws);
  StepBuffer step;
  step.n_rows = step.n_segments = kMaxSegments;
  for (std::uint32_t round = 0; round < n_steps; ++round) {
    for (std::uint32_t g = 0; g < kMaxSegments; ++g)
      step.segments[g] = {.slot = g,
                          .first_row = g,
                          .n_rows = 1,
                          .position = round * kMaxSegments + g,
                          .sampling = params.words()};
    for (std::int32_t token : op.submit(step)) seen[static_cast<std::size_t>(token)] = true;
  }
  return seen;
}

TEST_P(Sample, FiltersKeepTheExpectedTokens) {
  const std::vector<float> logits = {1, 2, 2, 0, 2, -1};
  SampleOp op(backend(), 6);
  using Kept = std::vector<bool>;
  EXPECT_EQ(drawn(op, logits, {.top_k = 1}, 10), (Kept{0, 1, 1, 0, 1, 0})) << "ties survive";
  EXPECT_EQ(drawn(op, logits, {.top_k = 3}, 10), (Kept{0, 1, 1, 0, 1, 0}));
  EXPECT_EQ(drawn(op, logits, {.top_k = 4}, 10), (Kept{1, 1, 1, 0, 1, 0}));
  EXPECT_EQ(drawn(op, logits, {.top_k = 9}, 40), (Kept{1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(drawn(op, logits, {.top_p = 0}, 10), (Kept{0, 1, 1, 0, 1, 0}))
      << "the best token and its ties survive";
  EXPECT_EQ(drawn(op, logits, {.min_p = 1}, 10), (Kept{0, 1, 1, 0, 1, 0}));
  EXPECT_EQ(drawn(op, logits, {.min_p = 0.36}, 10), (Kept{1, 1, 1, 0, 1, 0})) << "e^-1 is 0.368";
  EXPECT_EQ(drawn(op, logits, {.min_p = 0.37}, 10), (Kept{0, 1, 1, 0, 1, 0}));
}

TEST_P(Sample, TopPIsExact) {
  // Two tokens have equal weights. The first token alone reaches half of the total, but only both
  // together exceed half of the total.
  SampleOp op(backend(), 3);
  const std::vector<float> logits = {0, 0, -2};
  const std::vector<float> halves = {0, -100, 0};
  using Kept = std::vector<bool>;
  EXPECT_EQ(drawn(op, logits, {.top_p = 0.5}, 10), (Kept{1, 1, 0}));
  EXPECT_EQ(drawn(op, halves, {.top_p = 0.5}, 10), (Kept{1, 0, 1}));
  // Two logits that differ by ln 3 have the weights 3/4 and 1/4. Just below 3/4, top-p keeps one
  // token. Just above 3/4, it keeps both.
  const std::vector<float> quarters = {std::log(3.0F), 0, -100};
  const auto weights = plain_weights(quarters, {}, {});
  const double share =
      static_cast<double>(weights[0]) / static_cast<double>(weights[0] + weights[1]);
  EXPECT_EQ(drawn(op, quarters, {.top_p = share - 1e-8}, 20), (Kept{1, 0, 0}));
  EXPECT_EQ(drawn(op, quarters, {.top_p = share + 1e-8}, 20), (Kept{1, 1, 0}));
}

TEST_P(Sample, TopPContinuesIfTheSumEqualsTheBound) {
  // The first weight is 2^30. The second and the third are equal and just below 2^29. The fourth
  // makes the total exactly 2^31, so the first weight is half of the total. Top-p 0.5 adds tokens
  // until the sum exceeds half of the total. So it must also keep the second token and, with it,
  // the third.
  std::vector<float> logits = {0, 0, 0, 0};
  std::uint64_t rest = 0;
  for (float l = -0.6931F; rest == 0 || rest > 100000; l = std::nextafter(l, -1.0F)) {
    logits[1] = logits[2] = l;
    const std::uint64_t half = plain_weights(logits, {}, {})[1];
    rest = 2 * half < (std::uint64_t{1} << 30) ? (std::uint64_t{1} << 30) - 2 * half : 0;
  }
  logits[3] = static_cast<float>(std::log(static_cast<double>(rest) / 0x1p30));
  const auto weights = plain_weights(logits, {}, {});
  ASSERT_EQ(std::accumulate(weights.begin(), weights.end(), std::uint64_t{0}),
            std::uint64_t{1} << 31);
  SampleOp op(backend(), 4);
  using Kept = std::vector<bool>;
  EXPECT_EQ(drawn(op, logits, {.top_p = 0.5}, 20), (Kept{1, 1, 1, 0}));
  EXPECT_EQ(drawn(op, logits, {.top_p = 0.5 - 0x1p-32}, 20), (Kept{1, 0, 0, 0}));
}

TEST_P(ManySamples, ReproduceRecordedFilters) {
  const auto file = Checkpoint::open(golden_dir() / "ops" / "sampling.safetensors");
  const auto recorded =
      nlohmann::json::parse(std::ifstream(golden_dir() / "ops" / "ops.json"))["sampling"];
  SampleOp op(backend(), 64);
  int n_cases = 0;
  for (const auto& row : recorded["cases"]) {
    PlainParams params;
    params.temperature = row["temperature"];
    params.top_k = row["top_k"];
    params.top_p = row["top_p"];
    const auto logits = read_f32(file, "logits." + row["row"].get<std::string>());
    const auto mask = read_bytes(file, row["mask"]);
    const auto weights = plain_weights(logits, {}, params);
    const double total =
        static_cast<double>(std::accumulate(weights.begin(), weights.end(), std::uint64_t{0}));
    const auto seen = drawn(op, logits, params, 20);
    for (std::size_t i = 0; i < mask.size(); ++i) {
      SCOPED_TRACE(fmt::format("{}, token {}", row["mask"].get<std::string>(), i));
      const bool kept = mask[i] != std::byte{0};
      EXPECT_TRUE(kept || !seen[i]) << "a filtered token was drawn";
      EXPECT_TRUE(kept || weights[i] == 0);
      // The weight of a kept token may be so small that it rounds to 0.
      const double difference =
          static_cast<double>(logits[i]) -
          static_cast<double>(*std::max_element(logits.begin(), logits.end()));
      const bool too_light =
          difference / static_cast<double>(params.temperature) < std::log(0x1p-31) + 1e-6;
      EXPECT_TRUE(!kept || weights[i] != 0 || too_light);
      const bool likely = static_cast<double>(weights[i]) / total > 0.05;
      EXPECT_TRUE(!likely || seen[i]) << "never drawn";
    }
    ++n_cases;
  }
  EXPECT_EQ(n_cases, 55);
  for (const auto& [row, token] : recorded["greedy_argmax"].items())
    EXPECT_EQ(op.run_one(read_f32(file, "logits." + row), {.temperature = 0}), token) << row;
}

/// Pearson's chi-square statistic of draws at consecutive positions, and its degrees of freedom.
std::pair<double, int> chi_square(Backend& backend, std::span<const float> logits,
                                  const PlainParams& params, std::uint32_t n_draws) {
  SampleOp op(backend, static_cast<std::int64_t>(logits.size()));
  op.run(std::vector<SampleOp::Draw>(kMaxSegments, {logits, {}, params, 1}));
  std::vector<double> counts(logits.size(), 0);
  StepBuffer step;
  step.n_rows = step.n_segments = kMaxSegments;
  for (std::uint32_t at = 0; at < n_draws; at += kMaxSegments) {
    for (std::uint32_t g = 0; g < kMaxSegments; ++g)
      step.segments[g] = {
          .slot = g, .first_row = g, .n_rows = 1, .position = at + g, .sampling = params.words()};
    for (std::int32_t token : op.submit(step)) counts[static_cast<std::size_t>(token)] += 1;
  }
  const auto weights = plain_weights(logits, {}, params);
  const double total =
      static_cast<double>(std::accumulate(weights.begin(), weights.end(), std::uint64_t{0}));
  const double n = std::accumulate(counts.begin(), counts.end(), 0.0);
  double statistic = 0;
  int freedom = -1;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = n * static_cast<double>(weights[i]) / total;
    if (weights[i] == 0) {
      EXPECT_EQ(counts[i], 0);
      continue;
    }
    EXPECT_GT(expected, 5) << "too few draws for the statistic";
    statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
    ++freedom;
  }
  return {statistic, freedom};
}

TEST_P(ManySamples, DrawWithTheExpectedProbabilities) {
  Random random("sample/chi-square");
  std::vector<float> logits(40);
  for (float& logit : logits) logit = random.centred(1.3);
  for (const PlainParams& params :
       {PlainParams{.seed = 1}, PlainParams{.temperature = 0.7F, .top_p = 0.9, .seed = 2},
        PlainParams{.top_k = 9, .seed = 0xFFFFFFFF00000001U},
        PlainParams{.min_p = 0.2, .seed = 4}}) {
    const auto [statistic, freedom] = chi_square(backend(), logits, params, GetParam().n_draws);
    EXPECT_GE(freedom, 3);
    // About one seed in a million exceeds the mean by 5 standard deviations. The seeds of this test
    // are fixed.
    EXPECT_LT(statistic, freedom + 5 * std::sqrt(2.0 * freedom)) << "seed " << params.seed;
    EXPECT_GT(statistic, freedom - 5 * std::sqrt(2.0 * freedom)) << "too uniform to be random";
  }
}

TEST_P(Sample, TokenDependsOnSeedAndPositionAlone) {
  Random random("sample/position");
  std::vector<float> logits(1000);
  for (float& logit : logits) logit = random.centred(0.5);
  SampleOp op(backend(), 1000);
  const PlainParams params{.seed = 77};
  const SampleOp::Draw draws[] = {{logits, {}, params, 10},
                                  {logits, {}, params, 11},
                                  {logits, {}, params, 10},
                                  {logits, {}, {.seed = 78}, 10}};
  const auto tokens = op.run(draws);
  EXPECT_EQ(tokens[0], tokens[2]);
  EXPECT_NE(tokens[0], tokens[1]);
  EXPECT_NE(tokens[0], tokens[3]);
  EXPECT_EQ(tokens, op.run(draws));
  // The random number depends on the position of the drawn token, not on the number of rows before
  // it in the step.
  StepBuffer step;
  step.n_rows = 4;
  step.n_segments = 1;
  step.segments[0] = {.n_rows = 4, .position = 6, .sampling = params.words()};
  EXPECT_EQ(op.submit(step)[0], tokens[0]);
}

}  // namespace
}  // namespace bitaxon::test
