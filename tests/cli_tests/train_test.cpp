// Tests of `train` with the bundled model: what it writes and says, how it continues, and what it
// refuses.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "formats/safetensors.h"
#include "platform/file.h"
#include "program.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

class TrainCli : public testing::Test {
 protected:
  TrainCli() {
    std::string lines;
    for (int i = 0; i < 12; ++i)
      lines += fmt::format(R"({{"messages": [{{"role": "user", "content": "What is {0}?"}}, )"
                           R"({{"role": "assistant", "content": "It is the number {0}."}}]}})"
                           "\n",
                           i);
    data_ = folder_.write("train.jsonl", lines);
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  /// A short run into the folder `output`, with one example of each update.
  Arguments train(const std::string& output, const Arguments& more = {}) const {
    return small_updates() +
           Arguments{"-o",          path(output), "--max-steps", "6", "--save-every",   "2",
                     "--log-every", "2",          "--lora-rank", "2", "--warmup-steps", "1"} +
           more;
  }
  Arguments small_updates() const {
    return {"train",     data_.string(), "--device",           "cpu", "--threads",   "1",
            "--packing", "none",         "--grad-accum-steps", "1",   "--no-thermal"};
  }
  std::string file(const std::string& name) const { return read_file(path(name)); }
  /// Expects that the program refuses the arguments with one line that has the fragments.
  static void expect_refused(const Arguments& arguments, int status,
                             std::initializer_list<std::string_view> fragments) {
    const Finished finished = run(arguments);
    EXPECT_EQ(finished.status, status) << finished.describe();
    EXPECT_EQ(finished.out, "");
    ASSERT_FALSE(finished.err_lines().empty()) << finished.describe();
    for (const std::string_view fragment : fragments)
      EXPECT_NE(finished.err_lines().back().find(fragment), std::string::npos)
          << finished.describe();
  }

  TemporaryFolder folder_;
  fs::path data_;
};

TEST_F(TrainCli, WritesCheckpointsAndTheAdapterAndSaysSo) {
  const Finished finished = run_well(train("run"));
  for (const char* part :
       {"train: ", "DoRA rank 2 scale 20; 12 examples", "adapted: input_proj, in_proj, ",
        "; frozen: ", "Step 2/6  Loss: ", "Step 6/6  Loss: ", "tok/s"})
    EXPECT_NE(finished.err.find(part), std::string::npos) << part << "\n" << finished.err;
  for (const char* part : {"step        6 of 6", "loss ", "run/final_adapter.safetensors"})
    EXPECT_NE(finished.out.find(part), std::string::npos) << part << "\n" << finished.out;
  for (const char* name : {"step_00000002", "step_00000004", "step_00000006"})
    EXPECT_TRUE(fs::exists(folder_ / "run" / name / "training_state.json")) << name;
  EXPECT_TRUE(fs::exists(folder_ / "run/adapter_config.json"));
  const Json line =
      Json::parse(file("run/metrics.jsonl").substr(0, file("run/metrics.jsonl").find('\n')));
  EXPECT_EQ(line["event"], "start");
}

TEST_F(TrainCli, PrintsOneJsonObject) {
  const Json json = run_json(train("run", {"--json", "--quiet", "--val-split", "0.2"}));
  EXPECT_EQ(json["step"], 6);
  EXPECT_EQ(json["end"], "finished");
  EXPECT_EQ(json["best"]["step"], 6);
  EXPECT_TRUE(fs::exists(folder_ / "run/best/adapters.safetensors"));
}

TEST_F(TrainCli, ContinuesWithTheSettingsOfTheCheckpoint) {
  for (const char* name : {"whole", "cut"}) run_well(train(name, {"--lora-dropout", "0.1"}));
  fs::remove_all(folder_ / "cut/step_00000004");
  fs::remove_all(folder_ / "cut/step_00000006");
  const Finished finished = run_well({"train", "--resume", "-o", path("cut"), "--threads", "2"});
  EXPECT_NE(finished.err.find("resuming from "), std::string::npos) << finished.err;
  EXPECT_NE(finished.err.find("changed settings: --threads 2 (was 1)\n"), std::string::npos)
      << finished.err;
  for (const char* name : {"adapters.safetensors", "optimizer_state.safetensors"})
    EXPECT_TRUE(file(fmt::format("whole/step_00000006/{}", name)) ==
                file(fmt::format("cut/step_00000006/{}", name)))
        << name;
}

TEST_F(TrainCli, SaysWhichSettingsChangeAndRefusesThoseThatMayNot) {
  run_well(train("run"));
  const Finished more =
      run_well({"train", "--resume", path("run"), "--max-steps", "7", "--save-every", "5"});
  EXPECT_NE(more.err.find("--max-steps 7 (was 6)"), std::string::npos) << more.err;
  EXPECT_TRUE(fs::exists(folder_ / "run/step_00000007"));
  const auto refused = [&](const Arguments& flags, std::string_view fragment) {
    expect_refused(Arguments{"train", "--resume", "-o", path("run")} + flags, 2, {fragment});
  };
  refused({"--lora-rank", "4"}, "--lora-rank: expected 2, with which the run began, got 4");
  refused({"--no-dora"}, "--no-dora: expected false, with which the run began, got true");
  refused({"--seed", "1"}, "--seed: expected 42");
  refused({"--init-adapter", path("run")},
          "--init-adapter: expected none, with which the run began");
  folder_.write("train.jsonl", "{\"text\": \"other\"}\n");
  refused({}, "DATA: expected the examples that the run began with");
}

TEST_F(TrainCli, RefusesAFolderWithCheckpoints) {
  run_well(train("run"));
  expect_refused(train("run"), 1,
                 {"run: the folder holds step_00000006; --resume continues it, --output-dir"});
  expect_refused({"train", data_.string(), "--resume", path("none")}, 2, {"--resume: expected"});
}

TEST_F(TrainCli, AccumulatesFourMicroBatchesAsOneBatchOfFour) {
  const auto trained = [&](const char* name, const char* batch, const char* accumulation) {
    Arguments arguments = train(name, {"--batch-size", batch});
    *(std::ranges::find(arguments, "--grad-accum-steps") + 1) = accumulation;
    run_well(arguments);
    std::vector<float> values;
    const Checkpoint adapter = Checkpoint::open(folder_ / name / "final_adapter.safetensors");
    for (const TensorInfo& tensor : adapter.tensors())
      for (const float value : read_f32(adapter, tensor.name)) values.push_back(value);
    return values;
  };
  EXPECT_LE(relative_l2(trained("four", "1", "4"), trained("one", "4", "1")), 1e-6);
}

TEST_F(TrainCli, BeginsWithAnAdapter) {
  run_well(train("first"));
  const std::string adapter = path("first/final_adapter.safetensors");
  run_well(small_updates() +
           Arguments{"-o", path("second"), "--init-adapter", adapter, "--max-steps", "1"});
  // The first update has a learning rate of 0, so that the adapter is the same.
  EXPECT_EQ(fs::file_size(adapter), fs::file_size(path("second/final_adapter.safetensors")));
  expect_refused(train("third", {"--init-adapter", adapter, "--lora-scale", "2"}), 2,
                 {"--lora-scale: expected 20, the scale of "});
  expect_refused(train("third", {"--init-adapter", adapter, "--no-dora"}), 1,
                 {"final_adapter.safetensors: tensor \"", ".m\": expected no such tensor"});
}

TEST_F(TrainCli, TakesSettingsFromAFile) {
  const std::string config =
      folder_
          .write("c.json", R"({"max_steps": 3, "lora-rank": 4, "no_dora": true,
                                  "targets": ["in_proj", "out_proj"]})")
          .string();
  const Finished finished = run_well(
      small_updates() + Arguments{"-o", path("run"), "--config", config, "--lora-rank", "1"});
  EXPECT_NE(finished.err.find("LoRA rank 1 scale 20"), std::string::npos) << finished.err;
  EXPECT_NE(finished.out.find("3 of 3"), std::string::npos) << finished.out;
  const auto refused = [&](const char* text, std::string_view fragment) {
    expect_refused(train("no", {"--config", folder_.write("c.json", text).string()}), 2,
                   {"c.json", fragment});
  };
  refused(R"({"lora_rnak": 3})", "expected names of flags of this command, got \"lora_rnak\"");
  refused(R"({"no-dora": 1})", "no-dora: expected true or false, got 1");
  refused(R"({"seed": {}})", "seed: expected a text or a number, got {}");
  refused("[]", "expected an object, got []");
  refused(R"({"lora-rank": 1, "lora_rank": 2})", "lora_rank: expected it once");
  const std::string other =
      folder_.write("d.json", R"({"max_steps": 1.0, "output_dir": ")" + path("named") + "\"}")
          .string();
  run_well(small_updates() + Arguments{"--config", other});
  EXPECT_TRUE(fs::exists(folder_ / "named/step_00000001"));
  EXPECT_FALSE(Json::parse(file("named/step_00000001/training_state.json"))["settings"].contains(
      "output-dir"));
}

TEST_F(TrainCli, RefusesValidationDataWithoutTargets) {
  const std::string line = fmt::format(
      R"({{"prompt": "{}", "completion": "no room is left for this"}})", std::string(400, 'x'));
  const std::string data = folder_.write("val.jsonl", line + "\n").string();
  expect_refused(train("run", {"--val-data", data, "--max-seq-len", "64"}), 1,
                 {"validation data: ", "val.jsonl: expected an example to learn from, got none"});
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(TrainCli, OtherValidationDataBeginWithAnotherBestLoss) {
  const auto validation = [&](const char* name, const char* text) {
    return folder_.write(name, fmt::format(R"({{"text": "{}"}})", text)).string();
  };
  const std::string first = validation("a.jsonl", "To be"), moved = validation("b.jsonl", "To be");
  run_well(train("run", {"--val-data", first}));
  const auto resumed = [&](const std::string& data, const char* steps) {
    return run_well({"train", "--resume", path("run"), "--val-data", data, "--max-steps", steps})
        .err;
  };
  const std::string_view note = "other validation data: the lowest loss so far (";
  EXPECT_EQ(resumed(moved, "7").find(note), std::string::npos);
  const std::string err = resumed(validation("c.jsonl", "or not to be"), "8");
  EXPECT_NE(err.find(note), std::string::npos) << err;
  EXPECT_NE(err.find("(best)"), std::string::npos) << err;
}

TEST_F(TrainCli, ASmallModelOfRandomWeightsLearnsFromChats) {
  for (const char* preset : {"--config-small", "--config-medium"}) {
    const Json json = Json::parse(
        run_well(train("run", {preset, "--max-seq-len", "256", "--dry-run", "--json"})).out);
    EXPECT_EQ(json["data"]["usable"], 12) << preset;
    // Each byte of an answer is a token, and so is its end.
    EXPECT_EQ(json["data"]["targets"], 12 * 19 + 2 + 12) << preset;
  }
}

TEST_F(TrainCli, SaysHowOftenTheChosenAnswersAreLikelier) {
  std::string lines;
  for (const char* word : {"one", "two"})
    lines += fmt::format(R"({{"prompt": "{0}?", "chosen": "Yes, {0}.", "rejected": "No."}})"
                         "\n",
                         word);
  const std::string data = folder_.write("pairs.jsonl", lines).string();
  const Finished finished = run_well({"train", data, "--val-data", data, "--objective", "orpo",
                                      "-o", path("run"), "--max-steps", "1", "--device", "cpu"});
  const std::size_t at = finished.err.find("Eval 1/1  loss ");
  ASSERT_NE(at, std::string::npos) << finished.err;
  EXPECT_NE(finished.err.find("  acc ", at), std::string::npos) << finished.err;
  EXPECT_EQ(finished.err.find("ppl", at), std::string::npos) << finished.err;
  const std::string metrics = file("run/metrics.jsonl");
  for (const char* key : {"eval_nll", "eval_margin", "eval_accuracy"})
    EXPECT_NE(metrics.find(key), std::string::npos) << key;
}

TEST_F(TrainCli, AnAdapterRunsWithTheBundledModelThatItWasTrainedOn) {
  run_well(train("run"));
  const Arguments ask = {"run", "--chat", "Hello", "--max-tokens", "4", "--adapter"};
  const Finished same = run_well(ask + Arguments{path("run")});
  EXPECT_NE(same.err.find("the bundled tiny-shakespeare"), std::string::npos) << same.err;
  EXPECT_EQ(same.err.find("warning"), std::string::npos) << same.err;
  const std::string chat = (bundled_model_dir().parent_path() / "tiny-chat").string();
  const char* warning = "warning: ";
  const char* what = "expected the model that the adapter was trained on (";
  for (const Arguments& command :
       {ask + Arguments{path("run"), "-m", chat},
        Arguments{"merge", chat, "--adapter", path("run"), "-o", path("merged")},
        train("second", {"-w", chat, "--init-adapter", path("run")})}) {
    const Finished other = run_well(command);
    EXPECT_NE(other.err.find(warning), std::string::npos) << other.describe();
    EXPECT_NE(other.err.find(what), std::string::npos) << other.describe();
  }
  expect_refused(ask + Arguments{path("run"), "--lora-scale", "3"}, 2,
                 {"--lora-scale: expected 20, the scale of "});
}

TEST_F(TrainCli, RefusesFlagsOutOfRange) {
  const auto refused = [&](const Arguments& flags, std::string_view fragment) {
    expect_refused(train("run", flags), 2, {fragment});
  };
  const auto bad = [&](const char* flag, const char* value, std::string_view expected) {
    refused({flag, value}, fmt::format("{}: expected {}, got \"{}\"", flag, expected, value));
  };
  bad("--min-lr", "1", "a number from 0 to 0.0001");
  bad("--lora-dropout", "1", "a number from 0 to 0.999999");
  bad("--objective", "dpo", "sft or orpo");
  bad("--orpo-penalty", "no", "inside or outside");
  bad("--train-on", "user", "assistant or last or all");
  bad("--mask", "x", "content or like-original");
  bad("--schedule", "step", "cosine or linear or constant");
  bad("--quantize-bits", "8", "4");
  bad("--epochs", "0", "a whole number from 1 to 1099511627776");
  bad("--grad-checkpoint", "on", "block or off");
  refused({"--temp-pause", "95"}, "--temp-stop: expected more than the 95 of --temp-pause, got 95");
  refused({"--temp-resume", "90"}, "--temp-resume: expected less than the 85");
  refused({"--temp-warm", "90"}, "--temp-warm: expected at most the 85");
  refused({"--targets", "a,,b"}, "--targets: expected names separated by commas");
  refused({"--val-data", "a", "--val-split", "0.1"}, "expected one of --val-data and --val-split");
  bad("--temp-poll", "0", "a number > 0 and <= 3600");
  bad("--val-split", "0", "a number > 0 and <= 0.9");
  for (const char* value : {"0", "-1", "nan", "1e-4x", "1e300"})
    expect_refused({"train", data_.string(), "-lr", value}, 2,
                   {"--learning-rate: expected a number"});
  for (const char* value : {"0", "10000000"})
    expect_refused({"train", data_.string(), "--lora-rank", value}, 2,
                   {"--lora-rank: expected a whole number from 1 to 1048576"});
  expect_refused({"train", data_.string(), "--packing", "yes"}, 2,
                 {"--packing: expected isolated or concat or none, got \"yes\""});
  // Whether these values fit is known when the model and the examples are.
  expect_refused({"train", data_.string(), "-o", path("run"), "--lora-rank", "5000"}, 2,
                 {"--lora-rank: expected at most 128, the smaller side of "});
  refused({"--targets", "q_prj"}, "--targets: expected names of linear layers");
  refused({"--layers", "99"}, "--layers: expected 1..6 blocks, got 99");
  refused({"--max-seq-len", "100000000"}, "--max-seq-len: expected 1..4096 tokens");
  expect_refused({"train"}, 2, {"DATA: expected a file of examples, got none"});
}

TEST_F(TrainCli, LowMemoryChangesDefaultsThatAreNotGiven) {
  run_well(small_updates() + Arguments{"-o", path("run"), "--low-memory", "--max-steps", "1"});
  const Json settings = Json::parse(file("run/step_00000001/training_state.json"))["settings"];
  EXPECT_EQ(settings["lora-rank"], 4);
  EXPECT_EQ(settings["max-seq-len"], 256);
  EXPECT_EQ(settings["grad-accum-steps"], 1);
}

TEST_F(TrainCli, DryRunShowsDataAndMemoryAndWritesNothing) {
  const Finished finished = run_well(train("run", {"--dry-run"}));
  for (const char* part : {"memory", "total", "train.jsonl:1", "It is the number 0."})
    EXPECT_NE(finished.out.find(part), std::string::npos) << part << "\n" << finished.out;
  EXPECT_FALSE(fs::exists(folder_ / "run"));
  const Json json = Json::parse(run_well(train("run", {"--dry-run", "--json"})).out);
  EXPECT_GT(json["memory_bytes"], 0);
}

TEST_F(TrainCli, StopsOnAHotMachine) {
  const std::string sensor = folder_.write("sensor", "96000\n").string();
  Arguments arguments = train("run", {"--temp-sensor", sensor});
  std::erase(arguments, "--no-thermal");
  const Finished hot = run(arguments);
  EXPECT_EQ(hot.status, 1) << hot.describe();
  EXPECT_NE(hot.err.find("stopped at 96 C; step 0 is saved, --resume continues"), std::string::npos)
      << hot.err;
  folder_.write("sensor", "60\n");
  run_well(arguments + Arguments{"--resume"});
  Arguments no_sensor = train("other", {"--temp-sensor", path("none")});
  std::erase(no_sensor, "--no-thermal");
  const std::string err = run_well(no_sensor).err;
  for (const char* part : {"--temp-sensor: expected a file with degrees or thousandths, got \"",
                           "no temperature sensor: thermal control is off"})
    EXPECT_NE(err.find(part), std::string::npos) << err;
}

TEST_F(TrainCli, InterruptSavesAndTheRunContinues) {
  // The sensor keeps the run in a pause, so that the signal does not depend on the speed.
  const std::string sensor = folder_.write("sensor", "90\n").string();
  Arguments arguments = train("run", {"--temp-sensor", sensor});
  std::erase(arguments, "--no-thermal");
  Program program(arguments);
  ASSERT_TRUE(program.read_until([](const std::string&, const std::string& err) {
    return err.find("paused at 90 C") != std::string::npos;
  })) << program.err();
  program.send_signal(SIGINT);
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 130) << finished.describe();
  EXPECT_NE(finished.err.find("interrupted; step 0 is saved"), std::string::npos) << finished.err;
  EXPECT_TRUE(fs::exists(folder_ / "run/final_adapter.safetensors"));
  run_well(train("run", {"--resume"}));
  run_well(train("whole"));
  EXPECT_TRUE(file("run/step_00000006/adapters.safetensors") ==
              file("whole/step_00000006/adapters.safetensors"));
}

TEST_F(TrainCli, FullDiskIsOneLine) {
  Surroundings full;
  full.most_file_bytes = 1000;
  const Finished finished = run(train("run"), "", full);
  EXPECT_EQ(finished.status, 1) << finished.describe();
  EXPECT_NE(finished.err_lines().back().find("cannot write"), std::string::npos) << finished.err;
}

}  // namespace
}  // namespace bitaxon::test
