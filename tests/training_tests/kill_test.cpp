// Runs that are killed at random moments, also while they write a checkpoint, always continue, and
// end with the same files as a run that was left alone.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "core/mix64.h"
#include "formats/json.h"
#include "stand_in.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSaveEvery = 4;

void settle(StandInRun& run) {
  run.settings.optimizer.max_steps = 16;
  run.settings.save_every = kSaveEvery;
}

/// Begins or continues the run in another process. Saving takes most of its time, so that about half
/// of the kills hit a save.
pid_t start(const fs::path& folder) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  try {
    StandInRun run(folder);
    settle(run);
    run.between_writes = [] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
    run.before_part = run.between_writes;
    ::_exit(run.run().end == RunEnd::finished ? 0 : 2);
  } catch (...) {
    ::_exit(3);
  }
}

std::int64_t latest_step_in(const fs::path& metrics) {
  std::ifstream in(metrics);
  std::int64_t latest = 0;
  for (std::string line; std::getline(in, line);) {
    const Json json = Json::parse(line, nullptr, false);
    if (json.is_object()) latest = std::max(latest, json.value("step", std::int64_t{0}));
  }
  return latest;
}

/// Expects that a run which was killed can continue and has lost at most the updates since the latest
/// checkpoint.
void expect_can_continue(const fs::path& folder) {
  if (!fs::exists(folder)) return;  // it was killed before it made the folder
  const auto found = find_checkpoint(folder);
  const std::int64_t step = found ? found->checkpoint.state.step : 0;
  EXPECT_LE(latest_step_in(folder / "metrics.jsonl") - step, kSaveEvery);
  EXPECT_TRUE(!found || found->damaged.empty()) << found->damaged.front();
  RunFolder{folder};
  for (const auto& entry : fs::directory_iterator(folder))
    EXPECT_FALSE(entry.path().string().ends_with(".tmp")) << entry.path();
}

void kill_runs(int n_kills) {
  const TemporaryFolder folder;
  StandInRun alone(folder / "alone");
  settle(alone);
  alone.run();
  int n_runs = 0;
  std::uint64_t n_starts = 0;
  for (int kills = 0; kills < n_kills; ++n_runs) {
    const fs::path killed = folder / ("killed_" + std::to_string(n_runs));
    for (int status = -1; status != 0;) {
      const pid_t child = start(killed);
      if (kills < n_kills) {
        // The delay changes also after a run that ended before it was killed.
        const auto delay = mix64(n_starts++) % 400;
        std::this_thread::sleep_for(std::chrono::milliseconds(delay));
        ::kill(child, SIGKILL);
      }
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFSIGNALED(status) || status == 0) << status;
      if (WIFSIGNALED(status)) ++kills;
      expect_can_continue(killed);
    }
    for (const char* name : {"step_00000016", "best"})
      expect_equal_files(folder / "alone" / name, killed / name);
    EXPECT_TRUE(files_of(killed)["metrics.jsonl"] == files_of(folder / "alone")["metrics.jsonl"]);
  }
}

TEST(Kills, LoseNothing) { kill_runs(8); }
TEST(Kills, TwoHundredLoseNothingExhaustive) { kill_runs(200); }

}  // namespace
}  // namespace bitaxon::test
