// Checkpoints: upstream's are read, damaged ones are named, and a full disk harms none.
#include <gtest/gtest.h>

#include <functional>

#include "bitaxon/error.h"
#include "format_tests/stored_tensor.h"
#include "stand_in.h"
#include "support/errors.h"
#include "support/file_size_limit.h"
#include "support/source_tree.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

TEST(UpstreamCheckpoint, IsReadAndItsStepIsTheNumberOfUpdates) {
  const TrainCheckpoint sft = read_checkpoint(golden_dir() / "training/checkpoint/step_00000003");
  EXPECT_TRUE(sft.is_upstreams);
  EXPECT_EQ(sft.state.step, 3);
  EXPECT_DOUBLE_EQ(sft.state.loss, 5.583004951477051);
  EXPECT_EQ(sft.state.place, DataPosition());
  ASSERT_EQ(sft.tensors.size(), 42u);
  const TrainedTensor& tensor = sft.tensors.at("layer_0.ssm.in_proj.lora_b");
  EXPECT_EQ(tensor.shape, (Shape{2, 96}));
  EXPECT_EQ(tensor.second_moments.size(), 192u);
  EXPECT_FALSE(sft.adapter.has_value());
}

TEST(UpstreamCheckpoint, OfPreferenceTrainingHasTheSameNamesWithoutTheirBeginning) {
  const TrainCheckpoint orpo =
      read_checkpoint(golden_dir() / "training/checkpoint_orpo/step_00000002");
  ASSERT_EQ(orpo.tensors.size(), 42u);
  EXPECT_EQ(orpo.tensors.at("layer_0.ssm.in_proj.lora_b").shape, (Shape{1, 96}));
  EXPECT_EQ(orpo.state.step, 2);
}

class DamagedCheckpointTest : public testing::Test {
 protected:
  DamagedCheckpointTest() {
    StandInRun run(run_);
    run.settings.optimizer.max_steps = 20;
    run.settings.save_every = 10;
    run.has_validation = false;
    run.run();
  }

  fs::path newest() const { return run_ / "step_00000020"; }
  static std::string read(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void write(const fs::path& file, const std::string& bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
  }
  /// Expects that the newest checkpoint is named as damaged, and that the one before is used.
  void expect_older_is_used(std::string_view file, std::string_view fragment) const {
    const auto found = find_checkpoint(run_);
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->folder, run_ / "step_00000010") << file << ": " << fragment;
    ASSERT_EQ(found->damaged.size(), 1u);
    EXPECT_NE(found->damaged[0].find(file), std::string::npos) << found->damaged[0];
    EXPECT_NE(found->damaged[0].find(fragment), std::string::npos) << found->damaged[0];
  }

  TemporaryFolder folder_;
  fs::path run_ = folder_ / "run";
};

TEST_F(DamagedCheckpointTest, IsNamedAndTheOneBeforeIsUsed) {
  for (const char* name :
       {"adapters.safetensors", "optimizer_state.safetensors", "training_state.json"}) {
    const fs::path file = newest() / name;
    const std::string whole = read(file);
    write(file, whole.substr(0, whole.size() / 2));
    expect_older_is_used(name, "");
    write(file, "");
    expect_older_is_used(name, "");
    std::string flipped = whole;
    flipped[20] = static_cast<char>(flipped[20] ^ 0x08);
    write(file, flipped);
    expect_older_is_used(name, "");
    fs::remove(file);
    expect_older_is_used(name, name);
    fs::create_directory(file);
    expect_older_is_used(name, name);
    fs::remove(file);
    write(file, whole);
  }
  EXPECT_EQ(find_checkpoint(run_)->folder, newest());
}

TEST_F(DamagedCheckpointTest, HasNumbersThatCannotBe) {
  const std::string nan("\x00\x00\xc0\x7f", 4), negative("\x00\x00\x80\xbf", 4);
  const auto damage_end = [&](const char* name, const std::string& bytes) {
    const std::string whole = read(newest() / name);
    write(newest() / name, whole.substr(0, whole.size() - 4) + bytes);
    return whole;
  };
  const std::string adapter = damage_end("adapters.safetensors", nan);
  expect_older_is_used("adapters.safetensors", "expected finite numbers, got nan at element 4");
  write(newest() / "adapters.safetensors", adapter);
  const std::string optimizer = damage_end("optimizer_state.safetensors", negative);
  expect_older_is_used("optimizer_state.safetensors", "expected numbers >= 0, got -1");
  write(newest() / "optimizer_state.safetensors", optimizer);
  const std::string state = read(newest() / "training_state.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = state;
    text.replace(text.find(from), from.size(), to);
    write(newest() / "training_state.json", text);
  };
  with("\"step\": 20", "\"step\": 21");
  expect_older_is_used("training_state.json", "step: expected 20, the step of optimizer_state");
  with("\"next_example\": ", "\"next_example\": -");
  expect_older_is_used("training_state.json", "next_example: expected a whole number >= 0");
  with("\"version\": 1", "\"version\": 2");
  expect_older_is_used("training_state.json", "version: expected 1, got 2");
}

TEST_F(DamagedCheckpointTest, HasFilesOfAnotherStep) {
  fs::copy_file(run_ / "step_00000010/optimizer_state.safetensors",
                newest() / "optimizer_state.safetensors", fs::copy_options::overwrite_existing);
  expect_older_is_used("training_state.json", "step: expected 10, the step of optimizer_state");
}

TEST_F(DamagedCheckpointTest, IsReplacedWhenTheRunReachesItsStepAgain) {
  const std::string whole = read(newest() / "adapters.safetensors");
  write(newest() / "adapters.safetensors", "");
  StandInRun run(run_);
  run.settings.optimizer.max_steps = 20;
  run.has_validation = false;
  run.run();
  EXPECT_EQ(run.notes.size(), 1u);
  EXPECT_TRUE(read(newest() / "adapters.safetensors") == whole);
}

TEST_F(DamagedCheckpointTest, IsAnErrorIfThereIsNoOther) {
  fs::remove_all(run_ / "step_00000010");
  write(newest() / "training_state.json", "{");
  expect_error([&] { find_checkpoint(run_); }, ErrorKind::format,
               {"run: expected a readable checkpoint, got only damaged ones", "training_state"});
  EXPECT_FALSE(find_checkpoint(folder_ / "none").has_value());
}

TEST_F(DamagedCheckpointTest, OfAnotherShapeIsRefused) {
  TrainCheckpoint checkpoint = read_checkpoint(newest());
  StandInModel model;
  const auto refused = [&](std::string_view fragment) {
    expect_error([&] { restore(checkpoint, "run", model.target()); }, ErrorKind::format,
                 {"run: tensor \"", fragment});
  };
  checkpoint.tensors["layer_0.ssm.in_proj.lora_a"].shape = {3, 4};
  refused("lora_a\": expected [3, 2], which these settings and this model need, got [3, 4]");
  checkpoint.tensors.erase("layer_0.ssm.in_proj.lora_a");
  refused("lora_a\": expected [3, 2], which these settings and this model need, got none");
  checkpoint = read_checkpoint(newest());
  checkpoint.tensors["layer_9.lora_a"] = checkpoint.tensors.begin()->second;
  refused("layer_9.lora_a\": expected no such tensor");
}

TEST(FullDisk, IsAnErrorThatLeavesOlderCheckpoints) {
  const TemporaryFolder folder;
  StandInRun run(folder / "run");
  run.settings.save_every = 10;
  run.has_validation = false;
  int n_parts = 0;
  std::unique_ptr<FileSizeLimit> full;
  run.before_part = [&] {
    if (++n_parts == 4 * 15) full = std::make_unique<FileSizeLimit>(300);
  };
  expect_error([&] { run.run(); }, ErrorKind::io, {"cannot write: File too large"});
  full.reset();
  EXPECT_EQ(checkpoint_steps(folder / "run"), std::vector<std::int64_t>{10});
  run.before_part = {};
  EXPECT_EQ(run.run().end, RunEnd::finished);
  for (const auto& entry : fs::directory_iterator(folder / "run"))
    EXPECT_FALSE(entry.path().string().ends_with(".tmp")) << entry.path();
}

TEST(RunFolder, ThatIsRemovedOrCannotBeMadeIsAnError) {
  const TemporaryFolder folder;
  StandInRun run(folder / "run");
  run.before_part = [&] { fs::remove_all(folder / "run"); };
  expect_error([&] { run.run(); }, ErrorKind::io, {"run/.", "cannot make the folder"});
  folder.write("file", "");
  for (const fs::path& path : {folder / "file", fs::path("/proc/none")})
    expect_error([&] { RunFolder{path}; }, ErrorKind::io, {path.string()});
}

TEST(RunFolder, RemovesWhatKilledRunsLeft) {
  const TemporaryFolder folder;
  StandInRun run(folder / "run");
  run.run();
  const auto files = files_of(folder / "run");
  for (const char* name : {"final_adapter.safetensors.0123abcd.tmp", "metrics.jsonl.0123abcd.tmp",
                           "adapter_config.json.0123abcd.tmp", ".step_00000016.0123abcd.tmp",
                           ".best.0123abcd.tmp.old"})
    std::ofstream(folder / "run" / name) << "half";
  for (const char* name : {"notes.0123abcd.tmp", "metrics.jsonl.tmp"})
    std::ofstream(folder / "run" / name) << "of the user";
  RunFolder{folder / "run"};
  EXPECT_TRUE(fs::remove(folder / "run/notes.0123abcd.tmp"));
  EXPECT_TRUE(fs::remove(folder / "run/metrics.jsonl.tmp"));
  EXPECT_TRUE(files_of(folder / "run") == files);
}

TEST(Metrics, AreCutAfterTheCheckpoint) {
  const TemporaryFolder folder;
  const fs::path file = folder.write("metrics.jsonl",
                                     "{\"step\":1,\"micro\":4}\n{\"event\":\"skip\",\"step\":1,"
                                     "\"micro\":8}\n{\"step\":2,\"micro\":12}\n{\"step\":");
  cut_metrics(file, 1, 8);
  std::ifstream in(file);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}),
            "{\"step\":1,\"micro\":4}\n{\"event\":\"skip\",\"step\":1,\"micro\":8}\n");
  cut_metrics(folder / "none", 1, 8);
}

}  // namespace
}  // namespace bitaxon::test
