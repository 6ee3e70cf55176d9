// Tests of saved states: a process continues where another process has stopped.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "model_folder.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

struct Way {
  const char* device;
  const char* precision;
};
constexpr Way kWays[] = {{"reference", "exact"}, {"cpu", "exact"}, {"cpu", "fast"}};

class StateCli : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (temporary_ / name).string(); }
  static Arguments on(const Way& way) {
    return {"--quiet", "--device", way.device, "--precision", way.precision};
  }
  TemporaryFolder temporary_;
  /// The ids of a text. The text is longer than the attention window of the bundled model.
  std::vector<std::int32_t> ids_ = read_i32(golden_io("tiny_trained"), "input_ids");
};

TEST_F(StateCli, LogitsContinueAcrossProcesses) {
  const std::size_t half = ids_.size() / 2;
  const std::vector<std::int32_t> first(ids_.begin(), ids_.begin() + static_cast<long>(half));
  const std::vector<std::int32_t> second(ids_.begin() + static_cast<long>(half), ids_.end());
  for (const Way& way : kWays) {
    SCOPED_TRACE(fmt::format("{} {}", way.device, way.precision));
    const Arguments logits = Arguments{"logits"} + on(way);
    run_well(logits + Arguments{"--ids", joined(ids_), "--split",
                                fmt::format("{},{}", first.size(), second.size()), "--out",
                                path("whole"), "--save-state", path("whole.state")});
    run_well(logits + Arguments{"--ids", joined(first), "--out", path("a"), "--save-state",
                                path("a.state")});
    run_well(logits + Arguments{"--ids", joined(second), "--out", path("b"), "--load-state",
                                path("a.state"), "--save-state", path("b.state")});
    auto parts = read_f32(Checkpoint::open(path("a")), "logits");
    const auto b = read_f32(Checkpoint::open(path("b")), "logits");
    parts.insert(parts.end(), b.begin(), b.end());
    // Both runs feed the same pieces with the same code, so not even the last bit may differ.
    EXPECT_EQ(parts, read_f32(Checkpoint::open(path("whole")), "logits"));
    EXPECT_EQ(read_file(path("b.state")), read_file(path("whole.state")));
  }
}

TEST_F(StateCli, SaysThatTheLastTokenHadNoPlace) {
  const std::string said = "the saved state ends before the last token of the answer";
  const auto saves = [&](const Arguments& how, const char* max_tokens,
                         const std::string& input = {}) {
    const Arguments small = {"--context", "40",           "--temperature",
                             "0",         "--ignore-eos", "--save-state"};
    return run_well(how + small + Arguments{path("s"), "--max-tokens", max_tokens}, input)
               .err.find(said) != std::string::npos;
  };
  EXPECT_TRUE(saves({"run", "--prompt-ids", "1,2,3"}, "100"));
  EXPECT_FALSE(saves({"run", "--prompt-ids", "1,2,3"}, "37"));
  EXPECT_TRUE(saves({"chat"}, "100", "Who?\n"));
  EXPECT_FALSE(saves({"chat"}, "100", "Who?\n/reset\n"));
}

TEST_F(StateCli, GenerationContinuesAcrossProcesses) {
  for (const Way& way : kWays) {
    SCOPED_TRACE(fmt::format("{} {}", way.device, way.precision));
    const Arguments go = Arguments{"run", "--seed", "5", "--json", "--ignore-eos"} + on(way);
    const Json whole = run_json(go + Arguments{"--prompt", "ROMEO:\nBut soft", "--max-tokens", "30",
                                               "--save-state", path("whole.state")});
    run_well(go +
             Arguments{"--prompt", "ROMEO:\n", "--max-tokens", "0", "--save-state", path("s")});
    const Json rest = run_json(go + Arguments{"--prompt", "But soft", "--load-state", path("s"),
                                              "--save-state", path("s2"), "--max-tokens", "30"});
    EXPECT_EQ(rest["token_ids"], whole["token_ids"]);
    EXPECT_EQ(rest["text"], whole["text"]);
    EXPECT_EQ(rest["cached_tokens"].get<int>() + rest["prompt_tokens"].get<int>(),
              whole["prompt_tokens"]);
    // The run does not change the state file that it loads. But --save-state may name the same file
    // and overwrite it.
    run_well(go + Arguments{"--prompt", "But soft", "--load-state", path("s"), "--save-state",
                            path("s"), "--max-tokens", "30"});
    EXPECT_EQ(read_file(path("s")), read_file(path("s2")));
  }
}

/// After `run`, the state holds the prompt and every generated token. This is true for any
/// run-ahead, and for any reason why the text ends.
class LengthyStateCli : public StateCli {};

TEST_F(LengthyStateCli, StateAfterRunEqualsTheStateAfterTheSameIds) {
  const std::vector<Arguments> endings = {{"--max-tokens", "40"},
                                          {"--max-tokens", "1"},
                                          {"--max-tokens", "0"},
                                          {"--stop", "e"},
                                          {"--stop", "\n\n", "--stop", "the"}};
  const std::vector<std::int32_t> prompt(ids_.begin(), ids_.begin() + 20);
  for (const Way& way : kWays)
    for (std::size_t i = 0; i < endings.size(); ++i)
      for (const char* run_ahead : {"0", "2", "8"}) {
        SCOPED_TRACE(
            fmt::format("{} {}, ending {}, run-ahead {}", way.device, way.precision, i, run_ahead));
        const Json json =
            run_json(Arguments{"run", "--prompt-ids", joined(prompt), "--json", "--seed", "3",
                               "--run-ahead", run_ahead, "--save-state", path("run.state")} +
                     on(way) + endings[i]);
        auto all = json["token_ids"].get<std::vector<std::int32_t>>();
        const std::size_t n = all.size();
        all.insert(all.begin(), prompt.begin(), prompt.end());
        std::string split = "20";
        for (std::size_t k = 0; k < n; ++k) split += ",1";
        run_well(Arguments{"logits", "--ids", joined(all), "--split", split, "--out", path("l"),
                           "--save-state", path("fed.state")} +
                 on(way));
        EXPECT_EQ(read_file(path("run.state")), read_file(path("fed.state")));
      }
}

TEST_F(StateCli, LeavesOnlyTheStateFile) {
  run_well({"run", "--quiet", "--prompt", "a", "--max-tokens", "2", "--save-state", path("only")});
  std::size_t n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(temporary_.path())) {
    EXPECT_EQ(entry.path().filename(), "only");
    ++n;
  }
  EXPECT_EQ(n, 1U);
}

TEST_F(StateCli, FastAndExactAreEqualForAFloat32Model) {
  const Arguments logits = {"logits", "--quiet", "-m", golden_model(kSmallestModel).string(),
                            "--ids",  "1,2,3"};
  run_well(logits +
           Arguments{"--precision", "fast", "--out", path("a"), "--save-state", path("s")});
  run_well(logits +
           Arguments{"--precision", "exact", "--out", path("b"), "--load-state", path("s")});
}

}  // namespace
}  // namespace bitaxon::test
