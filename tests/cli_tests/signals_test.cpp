// Tests of how the program reacts to Ctrl-C, to a reader that closes a pipe, and to an output that
// cannot be written.
#include "platform/signals.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <regex>

#include "model_folder.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

TEST(SignalsHeld, AreDeliveredWhenReleased) {
  std::atomic<bool>& interrupted = catch_interrupts();
  interrupted = false;
  {
    const SignalsHeld held;
    ::raise(SIGINT);
    EXPECT_FALSE(interrupted);
  }
  EXPECT_TRUE(interrupted.exchange(false));
  ::raise(SIGTERM);
  EXPECT_TRUE(interrupted.exchange(false));
}

/// The bundled model with a very long context. A test can interrupt it before the context is full.
class SignalsCli : public testing::Test {
 protected:
  SignalsCli() {
    copy_model(bundled_model_dir(), folder_ / "model");
    Json config = Json::parse(read_file(folder_ / "model/config.json"));
    config["max_seq_len"] = 65536;
    write_file(folder_ / "model/config.json", config.dump());
    go_ = {"run",          "-m",     (folder_ / "model").string(),
           "--device",     "cpu",    "--prompt",
           "KING:",        "--seed", "9",
           "--max-tokens", "65000",  "--ignore-eos"};
  }
  static bool prints(Program& program, std::size_t more) {
    const std::size_t enough = program.out().size() + more;
    return program.read_until(
        [&](const std::string& out, const std::string&) { return out.size() >= enough; });
  }
  static std::size_t footers(const std::string& err) {
    std::size_t n = 0;
    for (std::size_t at = err.find("TTFT"); at != std::string::npos; at = err.find("TTFT", at + 1))
      ++n;
    return n;
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

  TemporaryFolder folder_;
  Arguments go_;
};

TEST_F(SignalsCli, AnInterruptEndsTheAnswerAndKeepsItsText) {
  for (const int signal : {SIGINT, SIGTERM})
    for (const char* run_ahead : {"0", "2", "8"}) {
      SCOPED_TRACE(run_ahead);
      Program program(
          go_ + Arguments{"--run-ahead", run_ahead, "--save-state", (folder_ / "state").string()});
      ASSERT_TRUE(prints(program, 50));
      program.send_signal(signal);
      const Finished finished = program.finish();
      EXPECT_EQ(finished.status, 130) << finished.describe();
      std::smatch footer;
      ASSERT_TRUE(std::regex_search(finished.err, footer, std::regex("── ([0-9]+) tokens? ")))
          << finished.err;
      // The footer states the number of tokens. The text and the state must have the same number.
      Arguments again = go_;
      again[10] = footer[1];
      EXPECT_EQ(
          run_well(again + Arguments{"--quiet", "--save-state", (folder_ / "again").string()}).out,
          finished.out);
      EXPECT_EQ(read_file(folder_ / "state"), read_file(folder_ / "again"));
    }
}

TEST_F(SignalsCli, AnInterruptEndsAJsonAnswer) {
  Program program(go_ + Arguments{"--json", "--quiet"});
  ASSERT_TRUE(program.wait_until_it_catches(SIGTERM));
  program.send_signal(SIGINT);
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 130) << finished.describe();
  EXPECT_EQ(parse_json(finished.out, "stdout")["finish_reason"], "interrupted");
}

TEST(LoadingCli, EndsAtOnceWhenInterrupted) {
  // `evaluate` catches signals while it computes, but not while it loads. This preset takes seconds
  // to load. If the program continued, it would print further messages.
  Program program({"evaluate", "--config-medium", "--quantize", "nf4", "--device", "cpu",
                   "--verbose", "-t", (bundled_model_dir() / "tokenizer.json").string()});
  ASSERT_TRUE(program.read_until([](const std::string&, const std::string& err) {
    return err.find("device: cpu") != std::string::npos;
  }));
  program.send_signal(SIGINT);
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 130) << finished.describe();
  EXPECT_EQ(finished.err.find("text: "), std::string::npos) << finished.err;
}

TEST_F(SignalsCli, ASecondInterruptEndsTheProgram) {
  // Nothing reads the pipe, so the program cannot end by itself after the first interrupt.
  Surroundings stuck;
  stuck.stdout_is_full = true;
  Program program(go_, stuck);
  ASSERT_TRUE(program.wait_until_it_catches(SIGTERM));
  EXPECT_TRUE(program.signal_until_it_ends(SIGINT));
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 130) << finished.describe();
}

TEST_F(SignalsCli, AnInterruptWhileTheReaderPausesLosesNothing) {
  Surroundings stuck;
  stuck.stdout_is_full = true;
  Program program(go_, stuck);
  ASSERT_TRUE(program.wait_until_it_catches(SIGTERM));
  program.wait_until_it_sleeps_in("pipe");
  program.send_signal(SIGINT);
  const Finished finished = program.finish();  // resumes reading the output
  EXPECT_EQ(finished.status, 130) << finished.describe();
  EXPECT_EQ(footers(finished.err), 1U) << finished.err;
  EXPECT_EQ(finished.out.back(), '\n');
}

TEST_F(SignalsCli, AnInterruptInAChatEndsTheAnswerOnly) {
  Arguments chat = go_ + Arguments{"--chat"};
  Program program(chat);
  for (std::size_t n = 1; n <= 3; ++n) {
    if (n > 1) program.write("And then?\n");
    ASSERT_TRUE(prints(program, 30));
    program.send_signal(SIGINT);
    ASSERT_TRUE(program.read_until(
        [&](const std::string&, const std::string& err) { return footers(err) == n; }));
  }
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 0) << finished.describe();
}

TEST_F(SignalsCli, AnInterruptWhileAChatWaitsEndsIt) {
  const std::string state = (folder_ / "state").string();
  Program program({"run", "--chat", "-m", (folder_ / "model").string(), "--save-state", state});
  program.write("/help\n");
  ASSERT_TRUE(program.read_until([](const std::string&, const std::string& err) {
    return err.find("/reset") != std::string::npos;
  }));
  EXPECT_TRUE(program.signal_until_it_ends(SIGINT));
  EXPECT_EQ(program.finish().status, 130);
}

TEST_F(SignalsCli, InterruptedLogitsLeaveNoFile) {
  const auto before = files();
  std::string ids = "1";
  for (int i = 1; i < 60000; ++i) ids += ",1";
  write_file(folder_ / "model/ids.json", "[" + ids + "]");
  Program program({"logits", "--quiet", "-m", (folder_ / "model").string(), "--ids-file",
                   (folder_ / "model/ids.json").string(), "--out", (folder_ / "out").string(),
                   "--save-state", (folder_ / "state").string()});
  ASSERT_TRUE(program.wait_until_it_catches(SIGTERM));
  program.send_signal(SIGINT);
  EXPECT_EQ(program.finish().status, 130);
  EXPECT_EQ(files(), before);
}

TEST_F(SignalsCli, EndsWhenTheReaderClosesThePipe) {
  Program program(go_ + Arguments{"--quiet"});
  ASSERT_TRUE(prints(program, 50));
  program.close_stdout();
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 1) << finished.describe();
  ASSERT_EQ(finished.err_lines().size(), 1U) << finished.err;
  EXPECT_EQ(finished.err.rfind("bit-axon: stdout: ", 0), 0U) << finished.err;
}

const std::vector<Arguments> kPrinting = {
    {"--version"},
    {"--help"},
    {"run", "--help"},
    {"devices"},
    {"devices", "--json"},
    {"inspect", "--quiet"},
    {"inspect", "--quiet", "--json"},
    {"tokenize", "--quiet", "a"},
    {"detokenize", "--quiet", "1"},
    {"run", "--quiet", "--prompt", "a", "--max-tokens", "3"},
    {"run", "--quiet", "--prompt", "a", "--max-tokens", "3", "--json"},
    {"run", "--quiet", "--prompt", "a", "--max-tokens", "3", "--no-stream"},
    {"run", "--quiet", "--prompt", "a", "--max-tokens", "3", "--chat"}};

TEST(OutputCli, AFullDiskIsAnError) {
  Surroundings full;
  full.stdout_file = "/dev/full";
  for (const Arguments& arguments : kPrinting) {
    const Finished finished = run(arguments, "", full);
    SCOPED_TRACE(fmt::format("{} {}", arguments[0], arguments.back()));
    EXPECT_EQ(finished.status, 1) << finished.describe();
    EXPECT_EQ(finished.err, "bit-axon: stdout: cannot write: No space left on device\n");
  }
}

TEST(OutputCli, AClosedStdoutIsAnError) {
  Surroundings closed;
  closed.closed = {1};
  for (const Arguments& arguments : kPrinting) {
    const Finished finished = run(arguments, "", closed);
    SCOPED_TRACE(fmt::format("{} {}", arguments[0], arguments.back()));
    EXPECT_EQ(finished.status, 1) << finished.describe();
    EXPECT_EQ(finished.err, "bit-axon: stdout: cannot write: Bad file descriptor\n");
  }
}

/// If a standard stream is closed, the next opened file gets the number of this stream. The program
/// must not write its messages into such a file.
TEST(OutputCli, MessagesAreNeverWrittenIntoFiles) {
  const TemporaryFolder folder;
  const Arguments go = {"logits", "--ids", "1,2,3", "--device", "cpu", "--out"};
  run_well(go + Arguments{(folder / "expected").string()});
  const auto out = folder / "out";
  for (const std::vector<int>& closed :
       {std::vector<int>{2}, std::vector<int>{0, 1}, std::vector<int>{0, 1, 2}}) {
    Surroundings without;
    without.closed = closed;
    const Finished finished =
        run(go + Arguments{out.string(), "--save-state", out.string() + "2"}, "", without);
    EXPECT_EQ(finished.status, 0) << finished.describe();
    EXPECT_EQ(read_file(out), read_file(folder / "expected"));
    const Arguments load = {
        "logits",       "--quiet",          "--ids", "1",
        "--load-state", out.string() + "2", "--out", (folder / "next").string()};
    run_well(load);
  }
}

}  // namespace
}  // namespace bitaxon::test
