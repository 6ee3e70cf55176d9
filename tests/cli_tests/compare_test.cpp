// Tests of `bit-axon compare`: whether two devices agree, and the report of their differences.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <csignal>
#include <regex>

#include "model_folder.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

const Arguments kCompare = {"compare", "--quiet", "--b", "cpu"};
const Arguments kText = kCompare + Arguments{"--prompt", "ROMEO:\nBut soft, what light"};

struct Judged {
  int status = -1;
  Json json;
};

/// Runs a comparison with --json. The verdict may be either, but stderr must be empty.
Judged judge(const Arguments& arguments, const std::string& input = {}) {
  const Finished finished = run(arguments + Arguments{"--json"}, input);
  EXPECT_EQ(finished.err, "") << finished.describe();
  Judged judged{finished.status, parse_json(finished.out, "stdout")};
  expect_keeps_to_schema("compare", judged.json);
  EXPECT_EQ(judged.status, judged.json["verdict"] == "agrees" ? 0 : 1) << finished.describe();
  return judged;
}

void expect_measured(const Json& difference, std::int64_t n_rows) {
  for (const char* key : {"relative_l2", "worst_row_relative_l2", "largest_difference"})
    EXPECT_GE(difference[key].get<double>(), 0) << key;
  EXPECT_GE(difference["worst_row"].get<std::int64_t>(), 0);
  EXPECT_LT(difference["worst_row"].get<std::int64_t>(), n_rows);
  EXPECT_GE(difference["worst_row_relative_l2"].get<double>(),
            difference["relative_l2"].get<double>());
  EXPECT_EQ(difference["not_finite"], 0);
  EXPECT_EQ(difference["within_tolerance"], true);
}

void expect_agreement(const Json& json, std::int64_t n_rows, std::int64_t n_greedy) {
  EXPECT_EQ(json["verdict"], "agrees");
  EXPECT_TRUE(json["first_beyond_tolerance"].is_null() && json["reason"].is_null());
  EXPECT_EQ(json["rows"], n_rows);
  for (const Json& layer : json["layers"]) expect_measured(layer, n_rows);
  expect_measured(json["logits"], n_rows);
  EXPECT_EQ(json["top1"]["rows"], n_rows);
  EXPECT_LE(json["top1"]["agreeing"].get<std::int64_t>(), n_rows);
  EXPECT_EQ(json["greedy"]["tokens"], n_greedy);
  for (const char* side : {"a", "b"}) {
    EXPECT_EQ(std::ssize(json["greedy"][fmt::format("{}_token_ids", side)]), n_greedy);
    EXPECT_GT(json[side]["prefill_tokens_per_sec"].get<double>(), 0);
    EXPECT_GT(json[side]["decode_tokens_per_sec"].get<double>(), 0);
  }
  EXPECT_DOUBLE_EQ(json["speed_ratio"]["decode"].get<double>(),
                   json["b"]["decode_tokens_per_sec"].get<double>() /
                       json["a"]["decode_tokens_per_sec"].get<double>());
}

TEST(LengthyCompareCli, DevicesAgreeOnTheBundledModelInBothPrecisions) {
  for (const char* precision : {"exact", "fast"}) {
    SCOPED_TRACE(precision);
    // run_json() permits notes on stderr. In fast precision, a note says that the reference always
    // computes exactly.
    const Json json =
        run_json(kText + Arguments{"--json", "--precision", precision, "--max-tokens", "12"});
    expect_agreement(json, json["rows"], 12);
    EXPECT_EQ(json["layers"].size(), 6U);
    EXPECT_EQ(json["layers"][0]["index"], 0);
    EXPECT_EQ(json["layers"][0]["kind"], "ssm");
    EXPECT_EQ(json["layers"][5]["kind"], "ssm_moe");
    EXPECT_EQ(json["a"]["device"], "reference");
    EXPECT_EQ(json["a"]["precision"], "exact");
    EXPECT_EQ(json["b"]["device"], "cpu");
    EXPECT_EQ(json["b"]["precision"], precision);
    const bool fast = std::string(precision) == "fast";
    EXPECT_EQ(json["tolerance"]["relative_l2"], fast ? 1e-2 : 5e-5);
    EXPECT_DOUBLE_EQ(json["tolerance"]["row_relative_l2"].get<double>(), fast ? 3e-2 : 2e-4);
  }
}

TEST(LengthyCompareCli, DevicesAgreeOnTheSmallPreset) {
  const Arguments small = kCompare + Arguments{"--config-small", "--max-tokens", "8"};
  for (const char* precision : {"exact", "fast"}) {
    const Arguments go = small + Arguments{"--precision", precision};
    expect_agreement(judge(go + Arguments{"--ids", "5,6,7,1023"}).json, 4, 8);
    expect_agreement(judge(go + Arguments{"hello"}).json, 5, 8);
  }
}

TEST(LengthyCompareCli, GreedyTokensEqualThoseOfRun) {
  const Json json = judge(kText + Arguments{"--max-tokens", "20"}).json;
  const Json run =
      run_json({"run", "--quiet", "--json", "--temperature", "0", "--max-tokens", "20",
                "--ignore-eos", "--device", "cpu", "--prompt", "ROMEO:\nBut soft, what light"});
  EXPECT_EQ(json["greedy"]["b_token_ids"], run["token_ids"]);
  EXPECT_EQ(json["rows"], run["prompt_tokens"]);
}

TEST(LengthyCompareCli, EveryKindOfInputGivesTheSameResult) {
  const TemporaryFolder folder;
  const std::string prompt = "Long live the king!";
  const Json ids = run_json({"tokenize", "--quiet", prompt});
  write_file(folder / "ids.json", ids.dump());
  const Json expected = judge(kCompare + Arguments{prompt}).json;
  const auto check = [&](const Arguments& more, const std::string& input = {}) {
    const Json json = judge(kCompare + more, input).json;
    for (const char* key : {"layers", "logits", "top1", "greedy", "rows"})
      EXPECT_EQ(json[key], expected[key]) << key;
  };
  check({"--prompt", prompt});
  check({}, prompt);
  check({}, prompt + "\n");
  check({"--ids", ids.dump()});
  check({"--ids-file", (folder / "ids.json").string()});
  check({"--threads", "2", "--a", "reference", prompt});
}

TEST(LengthyCompareCli, HandlesSplitsAndLongPrompts) {
  const std::vector<std::int32_t> ids = read_i32(golden_io("tiny_trained"), "input_ids");
  std::vector<std::int32_t> many;
  while (many.size() < 600) many.insert(many.end(), ids.begin(), ids.end());
  many.resize(600);
  const Arguments go = kCompare + Arguments{"--precision", "exact", "--max-tokens", "2"};
  const Json whole = judge(go + Arguments{"--ids", joined(many)}).json;
  expect_agreement(whole, 600, 2);
  EXPECT_EQ(whole["pieces"], 2);
  const Json split = judge(go + Arguments{"--ids", joined(many), "--split", "1,550,48,1"}).json;
  expect_agreement(split, 600, 2);
  EXPECT_EQ(split["pieces"], 5);
  EXPECT_EQ(split["greedy"]["a_token_ids"], whole["greedy"]["a_token_ids"]);
}

TEST(LengthyCompareCli, ADeviceAgreesWithItselfToTheLastBit) {
  const Json json =
      judge({"compare", "--quiet", "--a", "cpu", "--b", "cpu", "--tolerance", "0", "To be"}).json;
  EXPECT_EQ(json["verdict"], "agrees");
  EXPECT_EQ(json["tolerance"]["row_relative_l2"], 0.0);
}

TEST(LengthyCompareCli, ADifferenceBeyondTheToleranceIsAFailure) {
  const Arguments strict = kText + Arguments{"--precision", "fast", "--tolerance", "1e-12"};
  const Judged judged = judge(strict);
  EXPECT_EQ(judged.status, 1);
  EXPECT_EQ(judged.json["tolerance"]["relative_l2"], 1e-12);
  EXPECT_DOUBLE_EQ(judged.json["tolerance"]["row_relative_l2"].get<double>(), 3e-12);
  // The verdict names the first layer that is not within the tolerance.
  std::string first;
  for (const Json& layer : judged.json["layers"])
    if (first.empty() && !layer["within_tolerance"].get<bool>())
      first = fmt::format("layer {}", layer["index"].get<int>());
  EXPECT_NE(first, "");
  EXPECT_EQ(judged.json["first_beyond_tolerance"], first);
  const Finished text = run(strict);
  EXPECT_EQ(text.status, 1) << text.describe();
  EXPECT_EQ(text.err, "");
  EXPECT_NE(text.out.find("\ndiffers: " + first + ": relative L2"), std::string::npos) << text.out;
}

TEST(CompareCli, ReportNamesDevicesModelAndDifferences) {
  const Finished report = run_well(kText + Arguments{"--max-tokens", "3"});
  EXPECT_EQ(report.err, "");
  for (const char* line :
       {"a +reference: [^\n]*; exact", "b +cpu: [^\n]*; fast", "model +[^\n]*tiny-shakespeare",
        "rows +[0-9]+ in 1 piece", "layer 5 +ssm_moe( +[0-9.e+-]+){2} +[0-9]+ +[0-9.e+-]+",
        "logits( +[0-9.e+-]+){2} +[0-9]+ +[0-9.e+-]+", "top-1 +the same in [0-9]+ of [0-9]+ rows",
        "greedy +the same for 3 of 3 tokens", "prefill( +[0-9.]+ tok/s){2} +[0-9.]+",
        "decode( +[0-9.]+ tok/s){2} +[0-9.]+", "agrees: [^\n]*"})
    EXPECT_TRUE(std::regex_search(report.out, std::regex("(^|\n)" + std::string(line) + "\n")))
        << line << "\n"
        << report.out;
  // Both devices use the same model, so the notes about the model appear only once.
  const Finished talking = run_well({"compare", "--max-tokens", "1", "a"});
  EXPECT_EQ(talking.err_lines().size(), 2U) << talking.err;
  const Finished verbose = run_well({"compare", "--max-tokens", "1", "a", "--verbose"});
  EXPECT_EQ(verbose.err_lines().size(), 5U) << verbose.err;
  EXPECT_NE(run_well(kText + Arguments{"--max-tokens", "0"}).out.find(" 0 of 0 tokens"),
            std::string::npos);
}

TEST(LengthyCompareCli, TheEnvironmentNamesDeviceB) {
  Surroundings surroundings;
  surroundings.environment["BIT_AXON_DEVICE"] = "reference";
  const Arguments go = {"compare", "--quiet", "--json", "--max-tokens", "1", "a"};
  EXPECT_EQ(run_json(go, "", surroundings)["b"]["device"], "reference");
  EXPECT_EQ(run_json(go + Arguments{"--b", "cpu"}, "", surroundings)["b"]["device"], "cpu");
  EXPECT_EQ(run_json(go + Arguments{"--a", "cpu"})["a"]["device"], "cpu");
}

TEST(CompareCli, NaNIsBeyondAnyTolerance) {
  const TemporaryFolder folder;
  copy_model(golden_dir() / kSmallestModel, folder.path());
  rewrite_model(golden_model(kSmallestModel), folder / "model.safetensors", {}, "layer_2.ssm.D");
  const Judged judged = judge(
      kCompare + Arguments{"-m", folder.path().string(), "--ids", "1,2,3", "--tolerance", "1e300"});
  EXPECT_EQ(judged.status, 1);
  EXPECT_EQ(judged.json["first_beyond_tolerance"], "layer 2");
  EXPECT_EQ(judged.json["layers"][1]["within_tolerance"], true);
  EXPECT_TRUE(judged.json["layers"][2]["relative_l2"].is_null());
  EXPECT_TRUE(judged.json["logits"]["largest_difference"].is_null());
  EXPECT_GT(judged.json["logits"]["not_finite"].get<int>(), 0);
  EXPECT_EQ(judged.json["top1"]["agreeing"], 0);
  EXPECT_EQ(judged.json["greedy"]["agreeing"], 0);
  EXPECT_TRUE(judged.json["greedy"]["first_difference"]["a_gap"].is_null());
}

TEST(CompareCli, EndsWhenInterrupted) {
  Program program(kText + Arguments{"--max-tokens", "1000000"});
  ASSERT_TRUE(program.wait_until_it_catches(SIGTERM));
  program.send_signal(SIGINT);
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 130) << finished.describe();
  EXPECT_EQ(finished.out + finished.err, "");
}

}  // namespace
}  // namespace bitaxon::test
