// A run that was stopped anywhere and continued leaves the same files as a run that was not stopped.
#include <gtest/gtest.h>

#include "stand_in.h"
#include "support/errors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

class ResumeTest : public testing::Test {
 protected:
  fs::path whole() {
    const fs::path folder = folder_ / "whole";
    if (!fs::exists(folder)) StandInRun(folder).run();
    return folder;
  }
  /// Runs until the n-th part of the work, and then as if the user had asked for the end.
  static RunEnd run_until_part(StandInRun& run, int n) {
    int n_parts = 0;
    run.before_part = [&run, n_parts, n]() mutable {
      if (++n_parts == n) run.interrupted = true;
    };
    return run.run().end;
  }

  void expect_equal_after_interrupt_in(int part) {
    const fs::path folder = folder_ / ("part_" + std::to_string(part));
    StandInRun first(folder);
    EXPECT_EQ(run_until_part(first, part), RunEnd::interrupted);
    EXPECT_TRUE(fs::exists(folder / "final_adapter.safetensors"));
    EXPECT_EQ(StandInRun(folder).run().end, RunEnd::finished);
    for (const char* name : {"step_00000040", "best"})
      expect_equal_files(whole() / name, folder / name);
    for (const char* name : {"metrics.jsonl", "final_adapter.safetensors"})
      EXPECT_TRUE(files_of(folder)[name] == files_of(whole())[name]) << name << ", part " << part;
    fs::remove_all(folder);
  }

  TemporaryFolder folder_;
};

TEST_F(ResumeTest, KeepsTheNewestCheckpointsAndTheBest) {
  const fs::path folder = whole();
  EXPECT_EQ(checkpoint_steps(folder), (std::vector<std::int64_t>{20, 30, 40}));
  for (const char* name : {"best", "step_00000040"})
    for (const char* file : {"adapters.safetensors", "adapter_config.json",
                             "optimizer_state.safetensors", "training_state.json"})
      EXPECT_TRUE(fs::is_regular_file(folder / name / file)) << name << "/" << file;
  EXPECT_TRUE(fs::is_regular_file(folder / "final_adapter.safetensors"));
  const TrainCheckpoint best = read_checkpoint(folder / "best");
  EXPECT_EQ(best.state.best->step, best.state.step);
  EXPECT_EQ(best.adapter->kind, AdapterKind::dora);
}

TEST_F(ResumeTest, GivesEqualFilesAfterAnInterrupt) {
  // In the first update, in the first evaluation, in the update after a checkpoint, at the end.
  for (const int part : {1, 33, 35, 44, 155}) expect_equal_after_interrupt_in(part);
}

TEST_F(ResumeTest, GivesEqualFilesAfterAnInterruptInAnyPartExhaustive) {
  for (int part = 1; part <= 40 * 4 + 5 * 3; ++part) expect_equal_after_interrupt_in(part);
}

TEST_F(ResumeTest, ContinuesInAnotherFolder) {
  const fs::path other = folder_ / "other";
  StandInRun(other).run(whole() / "step_00000020");
  expect_equal_files(whole() / "step_00000040", other / "step_00000040");
  StandInRun again(whole());
  expect_error([&] { again.run(whole() / "step_00000020"); }, ErrorKind::io,
               {"whole: the folder holds step_00000040", "step_00000020", "--output-dir"});
}

TEST_F(ResumeTest, CountsDroppedUpdatesOnlyOnce) {
  const auto drop = [](StandInRun& run) { run.examples.not_a_number = {41, 42, 50, 90}; };
  StandInRun one(folder_ / "one");
  drop(one);
  const RunResult result = one.run();
  EXPECT_EQ(result.state.skipped, 3);
  ASSERT_EQ(one.notes.size(), 3u);
  EXPECT_NE(one.notes[0].find("step 11: expected a finite loss"), std::string::npos)
      << one.notes[0];
  EXPECT_NE(one.notes[0].find("train.jsonl:"), std::string::npos) << one.notes[0];

  for (const int part : {43, 53}) {
    const fs::path folder = folder_ / ("part_" + std::to_string(part));
    StandInRun first(folder), second(folder);
    drop(first);
    drop(second);
    run_until_part(first, part);
    second.run();
    expect_equal_files(folder_ / "one/step_00000040", folder / "step_00000040");
  }
}

TEST_F(ResumeTest, StopsAfterThreeDroppedUpdatesInARow) {
  StandInRun run(folder_ / "run");
  for (std::uint64_t micro = 40; micro < 80; ++micro) run.examples.not_a_number.insert(micro);
  const RunResult result = run.run();
  EXPECT_EQ(result.end, RunEnd::not_finite);
  EXPECT_EQ(result.state.step, 10);
  EXPECT_EQ(checkpoint_steps(folder_ / "run"), std::vector<std::int64_t>{10});
  // The data has moved on, so that another try does not end in the same three updates.
  EXPECT_EQ(read_checkpoint(folder_ / "run/step_00000010").state.place.micro_batch, 52u);
}

TEST_F(ResumeTest, EndsWithTheLastEpochAndWithPatience) {
  StandInRun epochs(folder_ / "epochs");
  epochs.examples = StandInData(7, 2);
  const RunResult done = epochs.run();
  EXPECT_EQ(done.end, RunEnd::finished);
  EXPECT_EQ(done.state.step, 4);  // 14 micro-batches
  EXPECT_EQ(done.state.place.micro_batch, 14u);
  EXPECT_EQ(done.state.evaluated_step, 4);

  StandInRun patient(folder_ / "patient");
  patient.settings.optimizer.learning_rate = 0;
  patient.settings.patience = 2;
  const RunResult ended = patient.run();
  EXPECT_EQ(ended.end, RunEnd::patience);
  EXPECT_EQ(ended.state.step, 24);
  EXPECT_EQ(ended.state.best->step, 8);
}

TEST_F(ResumeTest, PrintsTheLinesThatBitAxonsAppReads) {
  StandInRun run(folder_ / "run");
  run.run();
  ASSERT_EQ(run.progress.size(), 4u + 5u);
  EXPECT_TRUE(run.progress[1].starts_with("Step 10/40  Loss: ")) << run.progress[1];
  EXPECT_TRUE(run.progress[0].starts_with("Eval 8/40  loss ")) << run.progress[0];
  EXPECT_TRUE(run.progress[0].ends_with("  (best)")) << run.progress[0];
}

TEST_F(ResumeTest, RefusesAFolderInUseAndAFolderWithCheckpoints) {
  const fs::path folder = whole();
  expect_error([&] { refuse_checkpoints(folder); }, ErrorKind::io,
               {"whole: the folder holds step_00000040; --resume continues it, --output-dir"});
  const RunFolder in_use(folder);
  expect_error([&] { RunFolder second(folder); }, ErrorKind::io,
               {"whole: another run uses this folder; --output-dir names another"});
}

TEST_F(ResumeTest, ACheckpointWithTheNameOfAnotherStepIsDamaged) {
  const fs::path folder = whole();
  fs::copy(folder / "step_00000040", folder / "step_00000099");
  const auto found = find_checkpoint(folder);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->checkpoint.state.step, 40);
  ASSERT_EQ(found->damaged.size(), 1U);
  EXPECT_NE(found->damaged[0].find("expected the checkpoint of step 99, got that of step 40"),
            std::string::npos)
      << found->damaged[0];
}

TEST_F(ResumeTest, ComparesSettings) {
  const Json old = {{"lora-rank", 8}, {"max-steps", 100}, {"patience", nullptr}};
  constexpr std::string_view kFixed[] = {"lora-rank"};
  EXPECT_EQ(compare_settings(old, old, kFixed), "");
  EXPECT_EQ(compare_settings(old, {{"lora-rank", 8}, {"max-steps", 50}, {"patience", 3}}, kFixed),
            "changed settings: --max-steps 50 (was 100), --patience 3 (was none)");
  expect_error(
      [&] {
        compare_settings(old, {{"lora-rank", 4}}, kFixed);
      },
      ErrorKind::invalid_argument, {"--lora-rank: expected 8, with which the run began, got 4"});
}

}  // namespace
}  // namespace bitaxon::test
