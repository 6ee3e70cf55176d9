// Tests of `pipeline`: what its stages make and report, how it continues, and what it refuses.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

class PipelineCli : public testing::Test {
 protected:
  PipelineCli() { surroundings_.folder = folder_.path(); }

  /// A short pipeline in the folder "out", with a new small model.
  static Arguments pipeline(const Arguments& more = {}) {
    return Arguments{"pipeline", "-o",           "out", "--device",    "cpu", "--max-steps",
                     "3",        "--orpo-steps", "2",   "--lora-rank", "2",   "--no-thermal"} +
           more;
  }
  Finished start(const Arguments& arguments) const { return run(arguments, "", surroundings_); }
  std::string file(const std::string& name) const { return read_file(folder_ / name); }
  Json json(const std::string& name) const { return Json::parse(file(name)); }
  bool exists(const std::string& name) const { return fs::exists(folder_ / name); }
  /// Removes a step, and all steps after it, from the state, as if the program had ended before.
  void forget_from(const std::string& step) const {
    Json state = json("out/pipeline_state.json");
    Json kept = Json::array();
    for (const Json& one : state["steps"]) {
      if (one["name"] == step) break;
      kept.push_back(one);
    }
    ASSERT_LT(kept.size(), state["steps"].size()) << step;
    state["steps"] = kept;
    write_file(folder_ / "out/pipeline_state.json", state.dump());
  }
  void expect_refused(const Arguments& arguments, int status, std::string_view fragment) const {
    const Finished finished = start(arguments);
    EXPECT_EQ(finished.status, status) << finished.describe();
    EXPECT_EQ(finished.out, "");
    ASSERT_FALSE(finished.err_lines().empty()) << finished.describe();
    EXPECT_NE(finished.err_lines().back().find(fragment), std::string::npos) << finished.err;
  }

  TemporaryFolder folder_;
  Surroundings surroundings_;
};

TEST_F(PipelineCli, MakesEveryModelAndReports) {
  const Json results = run_json(pipeline({"--json", "--quiet"}), "", surroundings_);
  for (const char* name :
       {"base/model.safetensors", "base/tokenizer.json", "data/sft.jsonl",
        "sft/final_adapter.safetensors", "merged/model.safetensors", "quantized/model.safetensors",
        "data/orpo.jsonl", "orpo/final_adapter.safetensors", "aligned/model.safetensors",
        "final/model.safetensors", "final/tokenizer.json"})
    EXPECT_TRUE(exists(std::string("out/") + name)) << name;
  EXPECT_EQ(results, json("out/pipeline_results.json"));
  EXPECT_EQ(results["artifacts"]["final_model"], "out/final");
  const Json updates = json("out/training_metrics.json");
  ASSERT_EQ(updates.size(), 3U);
  EXPECT_EQ(updates[2]["step"], 3);
  EXPECT_EQ(updates[2]["loss"], results["metrics"]["sft_loss"]);
  EXPECT_GT(updates[2]["grad_norm"], 0);
  const std::string log = file("out/pipeline_log.txt");
  for (const char* part : {"sft: ", "bit-axon train --model-weights=out/base ",
                           "--objective=orpo --model-weights=out/merged ", "completed in "})
    EXPECT_NE(log.find(part), std::string::npos) << part << "\n" << log;
}

TEST_F(PipelineCli, OrpoBeginsWithTheMergedModel) {
  run_well(pipeline(), "", surroundings_);
  // Each model differs from the one before: no stage trains another model or is left out.
  const auto weights = [&](const char* name) {
    return file(fmt::format("out/{}/model.safetensors", name));
  };
  EXPECT_FALSE(weights("base") == weights("merged"));
  EXPECT_FALSE(weights("merged") == weights("aligned"));
  EXPECT_FALSE(weights("quantized") == weights("final"));
  const Json settings = json("out/orpo/step_00000002/training_state.json")["settings"];
  EXPECT_EQ(settings["objective"], "orpo");
  EXPECT_EQ(settings["model-weights"], "out/merged");
  EXPECT_EQ(settings["warmup-steps"], 0);
}

TEST_F(PipelineCli, TheSameSeedGivesTheSameModel) {
  run_well(pipeline({"--threads", "1"}), "", surroundings_);
  const std::string first = file("out/final/model.safetensors");
  fs::remove_all(folder_ / "out");
  run_well(pipeline({"--threads", "2"}), "", surroundings_);
  EXPECT_TRUE(first == file("out/final/model.safetensors"));
  fs::remove_all(folder_ / "out");
  run_well(pipeline({"--seed", "1"}), "", surroundings_);
  EXPECT_FALSE(first == file("out/final/model.safetensors"));
}

TEST_F(PipelineCli, TrainsANamedModelOnRealExamples) {
  folder_.write("sft.json", R"([{"instruction": "Add.", "output": "3"},
                                {"instruction": "Greet.", "output": "Hail."}, {"a": 1}])");
  folder_.write("pairs.jsonl",
                "{\"prompt\": \"Greet.\", \"chosen\": \"Hail.\", \"rejected\": \"Go.\"}\n"
                "{\"prompt\": \"Bow.\", \"chosen\": \"I bow.\", \"rejected\": \"No.\"}\n");
  folder_.write("text.txt", "In the beginning was the word, and the word was long.");
  const Finished finished = run_well(
      pipeline({"-m", bundled_model_dir().string(), "--sft-data", "sft.json", "--orpo-data",
                "pairs.jsonl", "--orpo-limit", "2", "--max-seq-len", "48", "--text", "text.txt"}),
      "", surroundings_);
  EXPECT_NE(finished.err.find("stage 6 of 8: ORPO\n"), std::string::npos) << finished.err;
  EXPECT_NE(finished.err.find("1 row left out: "), std::string::npos) << finished.err;
  EXPECT_FALSE(exists("out/base"));
  const Json metrics = json("out/pipeline_results.json")["metrics"];
  EXPECT_EQ(metrics["sft_examples"], 2);
  EXPECT_EQ(metrics["orpo_examples"], 2);
}

TEST_F(PipelineCli, TakesADataSetOfTheHubCacheByItsShortName) {
  surroundings_.environment["HF_HUB_CACHE"] = (folder_ / "hub").string();
  const std::string root = "hub/datasets--HuggingFaceH4--ultrafeedback_binarized";
  folder_.write(root + "/refs/main", "c0ffee");
  folder_.write(root + "/snapshots/c0ffee/train_prefs.jsonl",
                R"({"chosen": [{"role": "user", "content": "Hi"}, )"
                R"({"role": "assistant", "content": "Ho"}], "rejected": [{"role": "user", )"
                R"("content": "Hi"}, {"role": "assistant", "content": "Hum"}]})"
                "\n");
  run_well(pipeline({"--orpo-data", "ultrafeedback"}), "", surroundings_);
  EXPECT_EQ(json("out/pipeline_results.json")["metrics"]["orpo_examples"], 1);
}

TEST_F(PipelineCli, ANewModelTakesTheNamedTokenizer) {
  const std::string tokenizer = (bundled_model_dir() / "tokenizer.json").string();
  fs::create_directories(folder_ / "tokenizer");
  fs::copy_file(tokenizer, folder_ / "tokenizer/mine.json");
  run_well(pipeline({"-t", "tokenizer/mine.json"}), "", surroundings_);
  EXPECT_TRUE(read_file(tokenizer) == file("out/final/tokenizer.json"));
}

TEST_F(PipelineCli, ARerunContinuesAfterTheFinishedSteps) {
  run_well(pipeline(), "", surroundings_);
  const std::string final_model = file("out/final/model.safetensors");
  const Json results = json("out/pipeline_results.json");
  // Every setting is that of the first run.
  const Arguments again = {"pipeline", "-o", "out", "--device", "cpu", "--no-thermal"};
  EXPECT_NE(run_well(again, "", surroundings_).err.find("13 steps are done"), std::string::npos);
  EXPECT_EQ(json("out/pipeline_results.json"), results);

  // The program ended in the middle of ORPO, after its first checkpoint.
  forget_from("orpo");
  for (const char* name : {"aligned", "final", "orpo/final_adapter.safetensors"})
    fs::remove_all(folder_ / "out" / name);
  const Finished finished = run_well(again, "", surroundings_);
  EXPECT_EQ(finished.err.find("stage 5"), std::string::npos) << finished.err;
  EXPECT_NE(finished.err.find("resuming from out/orpo/step_00000002"), std::string::npos)
      << finished.err;
  EXPECT_TRUE(final_model == file("out/final/model.safetensors"));

  // The program ended between the command of a step and the note that it has ended.
  forget_from("aligned");
  run_well(again, "", surroundings_);
  EXPECT_EQ(json("out/pipeline_results.json")["metrics"]["final_ppl"],
            results["metrics"]["final_ppl"]);
}

TEST_F(PipelineCli, ARerunWithOtherSettingsIsRefused) {
  run_well(pipeline(), "", surroundings_);
  expect_refused(pipeline({"--max-seq-len", "16"}), 2,
                 "--max-seq-len: expected 32, with which the run began, got 16; another "
                 "--output-dir begins another pipeline");
  expect_refused(pipeline({"--config-medium"}), 2, "--config-medium: expected false");
  write_file(folder_ / "out/pipeline_state.json", "{\"settings\": 1}");
  expect_refused(pipeline(), 1, "pipeline_state.json: expected an object");
  folder_.write("other/file", "x");
  expect_refused({"pipeline", "-o", "other"}, 1,
                 "other: expected a new or empty folder, or that of a pipeline, found \"file\"");
}

TEST_F(PipelineCli, AFailureNamesTheStageAndIsInTheResults) {
  run_well(pipeline(), "", surroundings_);
  forget_from("final");
  fs::remove_all(folder_ / "out/final");
  folder_.write("out/final/file", "x");
  expect_refused(pipeline(), 1, "stage 7, quantize: out/final: ");
  const Json results = json("out/pipeline_results.json");
  EXPECT_TRUE(results["metrics"].contains("orpo_loss"));
  EXPECT_FALSE(results["metrics"].contains("final_ppl"));
  EXPECT_GT(results["total_time_seconds"], 0);
  ASSERT_EQ(results["errors"].size(), 1U);
  EXPECT_EQ(results["errors"][0].get<std::string>().find("stage 7, quantize: "), 0U);
  EXPECT_NE(file("out/pipeline_log.txt").find("error: stage 7, quantize: "), std::string::npos);
  fs::remove_all(folder_ / "out/final");
  run_well(pipeline(), "", surroundings_);
  EXPECT_FALSE(json("out/pipeline_results.json").contains("errors"));
}

TEST_F(PipelineCli, BadExamplesOfEitherStageAreFoundBeforeTheFirstTraining) {
  folder_.write("bad.jsonl", "{\"a\": 1}\n");
  expect_refused(pipeline({"--sft-data", "bad.jsonl"}), 1,
                 "stage 1, prepare: bad.jsonl: expected at least one row to write, got none of 1");
  fs::remove_all(folder_ / "out");
  const Arguments orpo = {"--orpo-data", "bad.jsonl"};
  expect_refused(pipeline(orpo), 1, "stage 1, prepare: bad.jsonl: expected at least one row");
  EXPECT_FALSE(exists("out/sft"));
  // No step depends on a name that was wrong.
  expect_refused(pipeline({"--orpo-data", "absent.jsonl"}), 1, "stage 1, prepare: absent.jsonl");
  expect_refused(pipeline({"--sft-data", "bad.jsonl"}), 2, "--sft-data: expected none");
  // The mended file is enough to continue.
  folder_.write("bad.jsonl", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}\n");
  run_well(pipeline(orpo), "", surroundings_);
  fs::remove_all(folder_ / "out");
  expect_refused(pipeline({"--max-seq-len", "8"}), 1, "have no target within 8 tokens");
  EXPECT_FALSE(exists("out/sft"));
  fs::remove_all(folder_ / "out");
  expect_refused({"pipeline", "-o", "out", "--lora-rank", "5000"}, 2,
                 "stage 1, train: --lora-rank: expected at most 128, the smaller side of ");
}

TEST_F(PipelineCli, RefusesValuesBeforeTheFirstStage) {
  const auto bad = [&](const Arguments& flags, int status, std::string_view fragment) {
    expect_refused(pipeline() + flags, status, fragment);
    EXPECT_FALSE(exists("out/base")) << fragment;
  };
  const Arguments plain = {"pipeline", "-o", "out"};
  for (const char* flag : {"--max-steps", "--orpo-steps", "--lora-rank", "--batch-size"})
    for (const char* value : {"0", "-1", "x"})
      expect_refused(plain + Arguments{flag, value}, 2,
                     fmt::format("{}: expected a whole number", flag));
  bad({"--max-seq-len", "1"}, 2, "--max-seq-len: expected a whole number from 2");
  bad({"-lr", "0"}, 2, "--learning-rate: expected a number > 0 and <= 1000");
  bad({"--seed", "x"}, 2, "--seed");
  bad({"--sft-limit", "0"}, 2, "--sft-limit");
  bad({"--orpo-limit", "x"}, 2, "--orpo-limit");
  bad({"--repo-id", "name"}, 2, "--repo-id: expected owner/name");
  bad({"--repo-id", "owner/name"}, 1, "upload: expected a token");
  bad({"-m", "absent"}, 1, "absent");
  bad({"--text", "absent"}, 1, "absent");
  bad({"--config-small", "--config-medium"}, 2, "--config-medium");
  bad({"PROMPT"}, 2, "PROMPT");
  expect_refused(pipeline({"--sft-data", "absent.jsonl"}), 1, "stage 1, prepare: absent.jsonl");
  fs::remove_all(folder_ / "out");
  expect_refused(pipeline({"-t", "absent"}), 1, "stage 1, base: absent");
}

TEST_F(PipelineCli, DryRunPrintsTheCommandsAndWritesNothing) {
  const Finished finished =
      run_well(pipeline({"--dry-run", "--orpo-data", "hh-rlhf", "--repo-id", "owner/name"}), "",
               surroundings_);
  EXPECT_EQ(std::ranges::count(finished.out, '\n'), 14) << finished.out;
  for (const char* part :
       {"# writes random weights of the small preset to out/base\n",
        "bit-axon prepare --format=orpo --split=train --output=out/data/orpo.jsonl ",
        " '--prompt=In the beginning' ",
        "bit-axon upload --repo-id=owner/name --json -- out/final\n"})
    EXPECT_NE(finished.out.find(part), std::string::npos) << part << "\n" << finished.out;
  EXPECT_FALSE(exists("out"));
}

TEST_F(PipelineCli, CtrlCEndsWith130AndTheSameCommandContinues) {
  // The sensor keeps the training in a pause, so that the signal does not depend on the speed.
  const Arguments long_one = {"pipeline", "-o",          "out",    "--device",
                              "cpu",      "--max-steps", "100000", "--no-thermal"};
  Program program(long_one, surroundings_);
  ASSERT_TRUE(program.read_until([](const std::string&, const std::string& err) {
    return err.find("Step 10/") != std::string::npos;
  })) << program.err();
  program.send_signal(SIGINT);
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 130) << finished.describe();
  EXPECT_EQ(finished.out, "");
  EXPECT_EQ(finished.err_lines().back(), "bit-axon: interrupted; the same command continues");
  EXPECT_EQ(json("out/pipeline_results.json")["errors"][0], "stage 1, train: interrupted");
  Program again(long_one, surroundings_);
  ASSERT_TRUE(again.read_until([](const std::string&, const std::string& err) {
    return err.find("resuming from out/sft/step_") != std::string::npos;
  })) << again.err();
  again.send_signal(SIGINT);
  EXPECT_EQ(again.finish().status, 130);
}

TEST_F(PipelineCli, FullDiskIsOneLine) {
  surroundings_.most_file_bytes = 100'000;
  const Finished finished = start(pipeline({"--quiet"}));
  EXPECT_EQ(finished.status, 1) << finished.describe();
  EXPECT_EQ(finished.err_lines().size(), 1U) << finished.err;
  EXPECT_NE(finished.err.find("stage 1, base: "), std::string::npos) << finished.err;
}

}  // namespace
}  // namespace bitaxon::test
