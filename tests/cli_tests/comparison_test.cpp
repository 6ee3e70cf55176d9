// Compares pairs of models that are known to differ. Each comparison is checked against the outputs
// of the two models when they run alone.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "compare/compare_report.h"
#include "formats/json.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::tool {
namespace {

using test::OpenModel;

const std::vector<std::int32_t> kIds = test::random_ids(23, 61, 5);
const std::atomic<bool> kNotInterrupted = false;

std::optional<Comparison> compare_all(OpenModel& a, OpenModel& b, const ComparisonInput& input,
                                      const Tolerance& tolerance = Tolerance::exact(),
                                      const std::atomic<bool>& interrupted = kNotInterrupted) {
  return compare({a.model, b.model}, input, tolerance, interrupted, [](std::size_t) {});
}

OpenModel open_random(std::uint64_t seed = 1, const BitAxonConfig& config = test::small_config()) {
  LoadOptions options;
  options.precision = Precision::exact;
  return test::open_random("cpu", 1, config, options, seed);
}

/// The random model of seed 1, with `change` added to the first element of `tensor`.
OpenModel open_changed(const std::string& tensor, float change) {
  test::StoredModel stored = test::random_stored(test::small_config(), 1);
  stored.tensors.at(tensor).values[0] += change;
  const test::TemporaryFolder folder;
  test::write_model(folder.path(), stored);
  return test::open_model("cpu", 1, folder.path());
}

std::vector<float> all_logits(OpenModel& open, const std::vector<std::int32_t>& ids) {
  State state = open.model.new_state();
  return test::feed_all(open.model, state, ids);
}

TEST(Comparison, FindsNoDifferenceBetweenEqualModels) {
  OpenModel a = open_random(), b = open_random();
  const auto found = compare_all(a, b, {kIds, {20, 1, 2}, 9}, {0, 0});
  ASSERT_TRUE(found);
  EXPECT_FALSE(first_beyond_tolerance(*found));
  EXPECT_EQ(found->n_rows, 23);
  EXPECT_EQ(found->n_pieces, 3U);
  ASSERT_EQ(found->layers.size(), 6U);
  for (const Difference& layer : found->layers) EXPECT_EQ(layer.n_rows(), 23);
  EXPECT_EQ(found->logits.n_rows(), 23);
  EXPECT_EQ(found->n_same_likeliest, 23);
  EXPECT_EQ(found->n_same_greedy, 9);
  EXPECT_FALSE(found->parting);
  EXPECT_GT(found->prefill_tokens_per_sec(found->a), 0);
  EXPECT_GT(found->b.decode_tokens_per_sec(), 0);
  // Each greedy token must be the likeliest token of the logits that precede it.
  std::vector<std::int32_t> ids = kIds;
  for (const std::int32_t token : found->a.greedy_tokens) {
    const std::vector<float> logits = all_logits(a, ids);
    EXPECT_EQ(likeliest(std::span(logits).last(61)), token);
    ids.push_back(token);
  }
  EXPECT_EQ(found->b.greedy_tokens, found->a.greedy_tokens);
}

TEST(Comparison, HandlesZeroAndOneGreedyTokens) {
  OpenModel a = open_random(), b = open_random();
  for (const std::int64_t n : {0, 1}) {
    const auto found = compare_all(a, b, {kIds, {23}, n});
    ASSERT_TRUE(found);
    EXPECT_FALSE(first_beyond_tolerance(*found));
    EXPECT_EQ(found->n_same_greedy, n);
    EXPECT_EQ(std::ssize(found->a.greedy_tokens), n);
    EXPECT_TRUE(report_json(*found)["a"]["decode_tokens_per_sec"].is_null());
  }
}

TEST(Comparison, EqualsTheDifferenceBetweenSeparateRuns) {
  OpenModel a = open_random(1), b = open_random(2);
  const auto found = compare_all(a, b, {kIds, {7, 16}, 5});
  ASSERT_TRUE(found);
  const std::vector<float> of_a = all_logits(a, kIds), of_b = all_logits(b, kIds);
  EXPECT_NEAR(found->logits.relative_l2(), test::relative_l2(of_b, of_a), 1e-6);
  float largest = 0;
  std::int64_t n_same = 0;
  for (std::size_t i = 0; i < of_a.size(); ++i)
    largest = std::max(largest, std::abs(of_b[i] - of_a[i]));
  for (std::size_t row = 0; row < kIds.size(); ++row)
    n_same += likeliest(std::span(of_a).subspan(row * 61, 61)) ==
                      likeliest(std::span(of_b).subspan(row * 61, 61))
                  ? 1
                  : 0;
  EXPECT_NEAR(found->logits.largest(), static_cast<double>(largest), 1e-4);
  EXPECT_EQ(found->n_same_likeliest, n_same);
  const auto beyond = first_beyond_tolerance(*found);
  ASSERT_TRUE(beyond);
  EXPECT_EQ(beyond->what, "layer 0");
}

TEST(Comparison, NamesTheFirstLayerThatDiffers) {
  OpenModel a = open_random();
  for (const auto& [tensor, what] : {std::pair{"layer_0.ssm.D", "layer 0"},
                                     {"layer_2.moe.shared_expert_gate.weight", "layer 2"},
                                     {"layer_5.input_norm.weight", "layer 5"},
                                     {"lm_head.weight", "logits"}}) {
    OpenModel b = open_changed(tensor, 1);
    const auto found = compare_all(a, b, {kIds, {23}, 0});
    ASSERT_TRUE(found);
    const auto beyond = first_beyond_tolerance(*found);
    ASSERT_TRUE(beyond) << tensor;
    EXPECT_EQ(beyond->what, what) << tensor;
  }
}

TEST(Comparison, FindsTheFirstGreedyTokenThatDiffers) {
  // The smaller the change, the more greedy tokens the two models have in common.
  OpenModel a = open_random(1);
  int n_partings = 0, n_later = 0;
  for (const float change : {3.0F, 0.3F, 0.03F}) {
    OpenModel b = open_changed("lm_head.weight", change);
    const auto found = compare_all(a, b, {kIds, {23}, 40}, {1, 1});
    ASSERT_TRUE(found);
    const auto same = static_cast<std::size_t>(found->n_same_greedy);
    if (!found->parting) continue;
    ++n_partings;
    n_later += same > 0 ? 1 : 0;
    const Parting& parting = *found->parting;
    EXPECT_EQ(parting.a_token, found->a.greedy_tokens[same]);
    EXPECT_EQ(parting.b_token, found->b.greedy_tokens[same]);
    EXPECT_NE(parting.a_token, parting.b_token);
    std::vector<std::int32_t> ids = kIds;
    ids.insert(ids.end(), found->a.greedy_tokens.begin(),
               found->a.greedy_tokens.begin() + found->n_same_greedy);
    const std::vector<float> of_a = all_logits(a, ids), of_b = all_logits(b, ids);
    const Parting expected = parting_of(parting.a_token, parting.b_token, std::span(of_a).last(61),
                                        std::span(of_b).last(61), {1, 1});
    EXPECT_NEAR(parting.a_gap, expected.a_gap, 1e-4);
    EXPECT_NEAR(parting.b_gap, expected.b_gap, 1e-4);
    EXPECT_GE(parting.a_gap, 0);
    EXPECT_GE(parting.b_gap, 0);
    EXPECT_NEAR(parting.near_tie_bound, expected.near_tie_bound, 1e-3);
    EXPECT_NEAR(parting.relative_l2, expected.relative_l2, 1e-4);
  }
  EXPECT_GT(n_partings, 0);
  EXPECT_GT(n_later, 0) << "no pair of models differs only after the first token";
}

TEST(Comparison, StopsAtMaxSeqLen) {
  BitAxonConfig config = test::small_config();
  config.max_seq_len = 25;
  OpenModel a = open_random(1, config), b = open_random(1, config);
  const auto found = compare_all(a, b, {kIds, {23}, 40});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->n_greedy, 2);
  EXPECT_EQ(found->n_same_greedy, 2);
  std::vector<std::int32_t> more = kIds;
  more.insert(more.end(), 3, 1);
  test::expect_error(
      [&] {
        compare_all(a, b, {more, {26}, 40});
      },
      ErrorKind::invalid_argument, {"25", "26"});
}

TEST(Comparison, RefusesIdsOutsideTheVocabulary) {
  OpenModel a = open_random(), b = open_random();
  test::expect_error(
      [&] {
        compare_all(a, b, {{1, 61}, {1, 1}, 1});
      },
      ErrorKind::invalid_argument, {"61", "index 1"});
}

TEST(Comparison, EndsWhenInterrupted) {
  OpenModel a = open_random(), b = open_random();
  const std::atomic<bool> interrupted = true;
  EXPECT_FALSE(compare_all(a, b, {kIds, {23}, 4}, Tolerance::exact(), interrupted));
}

/// A comparison without differences. Each test adds the differences that it needs.
Comparison agreeing() {
  Comparison found;
  found.spec = test::small_config().spec();
  found.tolerance = Tolerance::exact();
  found.n_rows = 1;
  found.layers.resize(6);
  const std::vector<float> row = {1, 2};
  for (Difference& layer : found.layers) layer.add(row, row, 1);
  found.logits.add(row, row, 1);
  found.n_greedy = 3;
  found.n_same_greedy = 3;
  return found;
}

TEST(ComparisonVerdict, NamesTheFirstResultBeyondTolerance) {
  const std::vector<float> row = {1, 2}, other = {1, 2.1F};
  Comparison found = agreeing();
  EXPECT_FALSE(first_beyond_tolerance(found));
  EXPECT_NE(report_text(found).find("\nagrees: "), std::string::npos);
  found.n_same_greedy = 1;
  found.parting = Parting{.a_token = 1, .b_token = 0, .is_near_tie = true};
  EXPECT_FALSE(first_beyond_tolerance(found));
  found.parting->is_near_tie = false;
  ASSERT_TRUE(first_beyond_tolerance(found));
  EXPECT_EQ(first_beyond_tolerance(found)->what, "greedy");
  EXPECT_EQ(first_beyond_tolerance(found)->why.rfind("token 1: ", 0), 0U);
  found.logits.add(row, other, 1);
  EXPECT_EQ(first_beyond_tolerance(found)->what, "logits");
  found.layers[4].add(row, other, 1);
  EXPECT_EQ(first_beyond_tolerance(found)->what, "layer 4");
  found.layers[2].add(row, other, 1);
  EXPECT_EQ(first_beyond_tolerance(found)->what, "layer 2");
  EXPECT_NE(report_text(found).find("\ndiffers: layer 2: relative L2"), std::string::npos);
  EXPECT_EQ(report_json(found)["first_beyond_tolerance"], "layer 2");
  EXPECT_EQ(report_json(found)["verdict"], "differs");
}

TEST(ComparisonVerdict, JsonHasNoNaN) {
  Comparison found = agreeing();
  const std::vector<float> row = {1, 2}, bad = {std::nanf(""), 2};
  found.logits.add(row, bad, 1);
  found.n_same_greedy = 0;
  found.a.greedy_tokens = {1, 1, 1};
  found.b.greedy_tokens = {-1};
  found.parting = parting_of(1, -1, row, bad, found.tolerance);
  const std::string text = report_json(found).dump();
  EXPECT_EQ(text.find("nan"), std::string::npos) << text;
  EXPECT_EQ(text.find("inf"), std::string::npos) << text;
  const Json json = parse_json(text, "report");
  EXPECT_TRUE(json["logits"]["relative_l2"].is_null());
  EXPECT_EQ(json["logits"]["not_finite"], 1);
  EXPECT_EQ(json["logits"]["within_tolerance"], false);
  EXPECT_TRUE(json["greedy"]["first_difference"]["b_token_id"].is_null());
  EXPECT_EQ(json["greedy"]["b_token_ids"], Json::array({nullptr}));
  EXPECT_EQ(json["greedy"]["first_difference"]["near_tie"], false);
  EXPECT_EQ(json["first_beyond_tolerance"], "logits");
}

}  // namespace
}  // namespace bitaxon::tool
