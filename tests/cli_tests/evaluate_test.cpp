// Runs `bit-axon evaluate` as a program.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "format_tests/stored_tensor.h"
#include "model_folder.h"
#include "program.h"
#include "support/small_models.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

TEST(EvaluateCli, AgreesWithLogitsOfTheSameWindows) {
  const TemporaryFolder folder;
  const std::string text = (folder / "t.txt").string();
  write_file(text, "But soft, what light through yonder window?\n");
  const Json ids = Json::parse(run_well({"tokenize", "--file", text}).out);
  const auto n = static_cast<std::int64_t>(ids.size());
  const std::int64_t length = 7;
  double sum = 0, squares = 0;
  for (std::int64_t first = 0; first < n - 1; first += length) {
    const std::int64_t end = std::min(first + length, n - 1);
    std::string window;
    for (std::int64_t i = first; i < end; ++i)
      window += fmt::format("{}{}", window.empty() ? "" : ",",
                            ids[static_cast<std::size_t>(i)].get<int>());
    const std::string out = (folder / "l.safetensors").string();
    run_well({"logits", "--ids", window, "--out", out, "--device", "reference", "--quiet"});
    const Checkpoint file = Checkpoint::open(out);
    const std::vector<float> logits = floats_of(file, "logits");
    const std::size_t v = logits.size() / static_cast<std::size_t>(end - first);
    for (std::int64_t i = first; i < end; ++i) {
      const float* row = logits.data() + static_cast<std::size_t>(i - first) * v;
      double total = 0;
      for (std::size_t j = 0; j < v; ++j) total += std::exp(double{row[j]});
      const double nll =
          std::log(total) - double{row[ids[static_cast<std::size_t>(i + 1)].get<std::size_t>()]};
      sum += nll;
      squares += nll * nll;
    }
  }
  const auto tokens = static_cast<double>(n - 1);
  const double mean = sum / tokens;
  const Json found = run_json({"evaluate", "--text", text, "--seq-length", "7", "--device",
                               "reference", "--json", "--quiet"});
  EXPECT_EQ(found["tokens"], n - 1);
  EXPECT_EQ(found["windows"], (n - 1 + length - 1) / length);
  EXPECT_NEAR(found["nll_per_token"].get<double>(), mean, 1e-9);
  EXPECT_NEAR(found["perplexity"].get<double>(), std::exp(mean), 1e-7 * std::exp(mean));
  const double deviation = std::sqrt((squares / tokens - mean * mean) * tokens / (tokens - 1));
  EXPECT_NEAR(found["std_error"].get<double>(), std::exp(mean) * deviation / std::sqrt(tokens),
              1e-6);
}

TEST(EvaluateCli, CarriesTheStateIfRequested) {
  const Arguments evaluate = {"evaluate", "--max-tokens", "60",     "--device",
                              "cpu",      "--json",       "--quiet"};
  const Json fresh = run_json(evaluate + Arguments{"--seq-length", "10"});
  const Json carried = run_json(evaluate + Arguments{"--seq-length", "10", "--carry"});
  const Json whole = run_json(evaluate + Arguments{"--seq-length", "60"});
  EXPECT_EQ(fresh["tokens"], 60);
  EXPECT_GT(std::abs(fresh["nll_per_token"].get<double>() - carried["nll_per_token"].get<double>()),
            0.1);
  EXPECT_NEAR(carried["nll_per_token"].get<double>(), whole["nll_per_token"].get<double>(), 1e-3);
}

TEST(EvaluateCli, BatchSizeDoesNotChangeThePerplexity) {
  const Arguments evaluate = {"evaluate",  "--max-tokens", "130",    "--seq-length",
                              "40",        "--device",     "cpu",    "--against",
                              "reference", "--json",       "--quiet"};
  Json one = run_json(evaluate);
  EXPECT_EQ(one["batch_size"], 1);
  for (const char* batch_size : {"3", "4", "32"}) {
    Json together = run_json(evaluate + Arguments{"--batch-size", batch_size});
    EXPECT_EQ(together["batch_size"].dump(), batch_size);
    for (const char* key : {"batch_size", "seconds", "tokens_per_sec"}) together[key] = one[key];
    EXPECT_EQ(together, one);
  }
}

TEST(EvaluateCli, ComparesWithASecondDeviceOrModel) {
  const Arguments evaluate = {"evaluate",    "--max-tokens", "40",     "--device", "cpu",
                              "--precision", "exact",        "--json", "--quiet"};
  const Json same = run_json(evaluate + Arguments{"--against", "reference"})["against"];
  EXPECT_LT(same["mean_kl"], 1e-7);
  EXPECT_GE(same["mean_kl"], 0.0);
  EXPECT_GT(same["top1_agreement"], 0.99);
  const std::string model = (source_tree() / "models/tiny-shakespeare").string();
  const Json coarse = run_json(evaluate + Arguments{"--quantize", "mlx", "--against", model});
  EXPECT_GT(coarse["against"]["mean_kl"], 1e-3);
  EXPECT_GT(coarse["against"]["kl_99"], coarse["against"]["mean_kl"]);
  EXPECT_NE(coarse["against"]["perplexity"], coarse["perplexity"]);
  EXPECT_LT(coarse["against"]["top1_agreement"], 1.0);
}

TEST(EvaluateCli, NamesTheSecondModelAndDevice) {
  const Arguments evaluate = {"evaluate", "--max-tokens", "5", "--device", "cpu"};
  const std::string model = (source_tree() / "models/tiny-shakespeare").string();
  for (const auto& [against, said] :
       {std::pair(model, std::string("against: ") + model + " on cpu ("),
        {"reference", "tiny-shakespeare on reference ("}}) {
    const Arguments both = evaluate + Arguments{"--quantize", "nf4", "--against", against};
    const Finished finished = run_well(both);
    EXPECT_NE(finished.err.find(said), std::string::npos) << finished.err;
    // If two devices run one model, --quantize applies on both. If there are two models, --quantize
    // applies to the first model only.
    const Json found = run_json(both + Arguments{"--json"});
    EXPECT_EQ(found["quantize"], "nf4");
    EXPECT_EQ(found["against"]["quantize"], against == model ? Json(nullptr) : Json("nf4"));
  }
}

/// Copies the bundled model and exchanges the ids of the tokens `a` and `b` in its tokenizer.
void copy_with_exchanged_tokens(const std::filesystem::path& to, std::string a, std::string b) {
  copy_model(bundled_model_dir(), to);
  Json tokenizer = Json::parse(read_file(to / "tokenizer.json"));
  std::swap(tokenizer["model"]["vocab"][a], tokenizer["model"]["vocab"][b]);
  write_file(to / "tokenizer.json", tokenizer.dump());
}

TEST(EvaluateCli, RefusesASecondModelWithOtherTokens) {
  const TemporaryFolder folder;
  const Arguments against = {"evaluate", "--max-tokens", "5",        "--device",
                             "cpu",      "--quiet",      "--against"};
  const auto expect_refusal = [&](const std::string& model, const std::string& fragment) {
    const Finished finished = run(against + Arguments{model});
    EXPECT_EQ(finished.status, 1) << finished.describe();
    EXPECT_EQ(finished.err_lines().size(), 1U) << finished.err;
    for (const std::string& part : {"--against " + model, fragment})
      EXPECT_NE(finished.err.find(part), std::string::npos) << finished.err;
  };
  // The text does not contain the exchanged tokens. But evaluate compares the probabilities of all
  // ids, so the tokens must still agree.
  const std::string exchanged = (folder / "exchanged").string();
  copy_with_exchanged_tokens(exchanged, "X", "Z");
  expect_refusal(exchanged, "expected the same tokens behind the ids");

  // The second model has no tokenizer of its own, so its mapping applies to the tokenizer of the
  // first model.
  const std::string mapped = (folder / "mapped").string();
  copy_model(bundled_model_dir(), mapped);
  std::filesystem::remove(std::filesystem::path(mapped) / "tokenizer.json");
  run_well(against + Arguments{mapped});
  std::string map;
  for (int id = 0; id < 1024; ++id)
    map += fmt::format("{}\"{}\": {}", id == 0 ? "{" : ", ", id, id ^ 1);
  rewrite_model(bundled_model_dir(), std::filesystem::path(mapped) / "model.safetensors",
                {{"vocab_mapping", map + "}"}});
  expect_refusal(mapped, "expected the same tokens behind the ids");

  // This tokenizer has the same tokens as the bundled one, but no merges.
  const std::string merges = (folder / "merges").string();
  copy_model(bundled_model_dir(), merges);
  const std::filesystem::path file = std::filesystem::path(merges) / "tokenizer.json";
  Json tokenizer = Json::parse(read_file(file));
  tokenizer["model"]["merges"] = Json::array();
  write_file(file, tokenizer.dump());
  expect_refusal(merges, "the text as the same token ids");

  expect_refusal((golden_dir() / kSmallestModel).string(), "expected a vocabulary of 1024");
}

/// A perplexity that overflows, and the standard error of a single token, are missing numbers.
TEST(EvaluateCli, PrintsUnknownForMissingNumbers) {
  const TemporaryFolder folder;
  BitAxonConfig config = small_config();
  config.vocab_size = 1024;
  StoredModel model = random_stored(config, 1);
  for (float& weight : model.tensors.at("lm_head.weight").values) weight *= 1e6f;
  write_model(folder.path(), model);
  const Arguments go = {"evaluate",
                        "-m",
                        folder.path().string(),
                        "-t",
                        (bundled_model_dir() / "tokenizer.json").string(),
                        "--device",
                        "cpu",
                        "--max-tokens",
                        "5",
                        "--quiet"};
  const Json found = run_json(go + Arguments{"--json", "--against", "reference"});
  EXPECT_EQ(found["perplexity"], nullptr);
  EXPECT_EQ(found["std_error"], nullptr);
  EXPECT_GT(found["nll_per_token"], 700.0);
  EXPECT_NE(run_well(go).out.find("perplexity   > 1e308 +- unknown ("), std::string::npos);
  const Finished one = run_well({"evaluate", "--device", "cpu", "--max-tokens", "1", "--quiet"});
  EXPECT_NE(one.out.find(" +- unknown ("), std::string::npos) << one.out;
}

TEST(EvaluateCli, JsonFollowsItsSchema) {
  const std::string model = (source_tree() / "models/tiny-shakespeare").string();
  for (const Arguments& more : {Arguments{}, Arguments{"--quantize", "nf4", "--against", model},
                                Arguments{"--max-tokens", "1", "--carry"}}) {
    const Json found =
        run_json(Arguments{"evaluate", "--device", "cpu", "--json", "--quiet"} +
                 (more.empty() || more[0] != "--max-tokens" ? Arguments{"--max-tokens", "20"}
                                                            : Arguments{}) +
                 more);
  }
}

/// A perplexity that models/tiny-shakespeare/README.md states.
struct PublishedPerplexity {
  const char* name;
  Arguments flags;
  double perplexity;
};

class PerplexityCli : public testing::TestWithParam<PublishedPerplexity> {};

TEST_P(PerplexityCli, IsAsPublished) {
  const Json found =
      run_json(Arguments{"evaluate", "--device", "cpu", "--json", "--quiet"} + GetParam().flags);
  EXPECT_EQ(found["tokens"], 7283);
  EXPECT_NEAR(found["perplexity"].get<double>(), GetParam().perplexity,
              0.005 * GetParam().perplexity);
}

INSTANTIATE_TEST_SUITE_P(LengthyBundled, PerplexityCli,
                         testing::Values(PublishedPerplexity{"f16", {}, 184.40},
                                         PublishedPerplexity{"mlx", {"--quantize", "mlx"}, 178.47},
                                         PublishedPerplexity{"nf4", {"--quantize", "nf4"}, 179.84}),
                         [](const auto& published) { return std::string(published.param.name); });

TEST(EvaluateCli, RefusesBadFlagsAndTexts) {
  const TemporaryFolder folder;
  const std::string empty = (folder / "empty.txt").string();
  const std::string latin = (folder / "latin.txt").string();
  write_file(empty, "");
  write_file(latin, "caf\xe9");
  struct Case {
    Arguments arguments;
    int status;
    const char* mentioned;
  };
  for (const Case& bad : std::vector<Case>{
           {{"--text", empty}, 1, "empty.txt"},
           {{"--text", latin}, 1, "0xe9"},
           {{"--text", "missing.txt"}, 1, "missing.txt"},
           {{"--seq-length", "0"}, 2, "--seq-length"},
           {{"--max-tokens", "0"}, 2, "--max-tokens"},
           {{"--batch-size", "0"}, 2, "--batch-size: expected a whole number from 1 to 32"},
           {{"--batch-size", "33"}, 2, "--batch-size: expected a whole number from 1 to 32"},
           {{"--batch-size", "x"}, 2, "--batch-size"},
           {{"--batch-size", "2", "--carry"}, 2, "--batch-size: expected 1 with --carry"},
           {{"--against", "no/such/model"}, 1, "no/such/model"},
           {{"--quantize", "int8"}, 2, "--quantize"},
           {{"-m", "x", "y"}, 2, "both"},
       }) {
    const Finished finished = run(Arguments{"evaluate", "--device", "cpu"} + bad.arguments);
    EXPECT_EQ(finished.status, bad.status) << finished.describe();
    EXPECT_NE(finished.err.find(bad.mentioned), std::string::npos) << finished.describe();
  }
}

}  // namespace
}  // namespace bitaxon::test
