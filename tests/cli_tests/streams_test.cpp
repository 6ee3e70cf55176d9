// Tests with unusual standard streams: non-blocking, full, closed or unreadable.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

const Arguments kQuick = {"--quiet", "--device", "cpu", "--seed", "1", "--max-tokens", "3"};

/// Command lines that read stdin.
const std::vector<Arguments> kReading = {
    {"tokenize", "--quiet"},
    Arguments{"run"} + kQuick,
    Arguments{"run", "--json"} + kQuick,
    Arguments{"run", "--chat"} + kQuick,
    {"compare", "--quiet", "--a", "cpu", "--b", "reference", "--max-tokens", "3"}};

Surroundings not_blocking() {
  Surroundings surroundings;
  surroundings.pipes_do_not_block = true;
  return surroundings;
}

TEST(StreamsCli, UnreadableInputIsAnError) {
  Surroundings folder, closed;
  folder.stdin_file = "/";
  closed.closed = {0};
  for (const Arguments& arguments : kReading)
    for (const auto& [surroundings, why] :
         {std::pair(folder, "Is a directory"), std::pair(closed, "Bad file descriptor")}) {
      SCOPED_TRACE(fmt::format("{} {}", fmt::join(arguments, " "), why));
      const Finished finished = run(arguments, "", surroundings);
      EXPECT_EQ(finished.status, 1) << finished.describe();
      EXPECT_EQ(finished.out, "");
      EXPECT_EQ(finished.err, fmt::format("bit-axon: stdin: cannot read: {}\n", why));
    }
}

TEST(StreamsCli, AChatWhoseInputFailsKeepsItsState) {
  const TemporaryFolder folder;
  const std::string state = (folder / "state").string();
  Surroundings unreadable;
  unreadable.stdin_file = "/";
  const Finished finished =
      run(Arguments{"run", "--chat", "--prompt", "Who is there?", "--save-state", state} + kQuick,
          "", unreadable);
  EXPECT_EQ(finished.status, 1) << finished.describe();
  EXPECT_NE(finished.out, "");
  run_well(Arguments{"chat", "--prompt", "a", "--load-state", state} + kQuick);
}

TEST(StreamsCli, WaitsForLateInput) {
  const std::string text = "hello world, this is the rest\n";
  for (const Arguments& arguments : kReading) {
    SCOPED_TRACE(fmt::format("{}", fmt::join(arguments, " ")));
    const std::string expected = run_well(arguments, text).out;
    Program program(arguments, not_blocking());
    program.wait_until_it_sleeps_in("poll");
    program.write(text.substr(0, 6));
    program.wait_until_it_sleeps_in("poll");
    program.write(text.substr(6));
    const Finished finished = program.finish();
    EXPECT_EQ(finished.status, 0) << finished.describe();
    const bool has_times = arguments[0] == "compare" || arguments[1] == "--json";
    if (!has_times) {
      EXPECT_EQ(finished.out, expected);
    }
  }
}

/// A text that is far longer than the capacity of a pipe.
std::string long_text() {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "the king ";
  return text;
}

TEST(StreamsCli, OutputWaitsForItsReader) {
  const TemporaryFolder folder;
  write_file(folder / "text", long_text());
  const Arguments tokenize = {"tokenize", "--quiet", "--file", (folder / "text").string()};
  const std::string expected = run_well(tokenize).out;
  ASSERT_GT(expected.size(), std::size_t{1} << 18);
  Surroundings full = not_blocking();
  full.stdout_is_full = true;
  Program program(tokenize, full);
  program.wait_until_it_sleeps_in("poll");
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 0) << finished.describe();
  EXPECT_EQ(finished.out.substr(finished.out.find('[')), expected);
}

TEST(StreamsCli, AStreamedAnswerWaitsForItsReader) {
  const Arguments go = Arguments{"run", "--prompt", "KING:"} + kQuick;
  const std::string expected = run_well(go).out;
  Surroundings full = not_blocking();
  full.stdout_is_full = true;
  Program program(go, full);
  program.wait_until_it_sleeps_in("poll");
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 0) << finished.describe();
  EXPECT_TRUE(finished.out.ends_with(expected)) << expected;
}

TEST(StreamsCli, MessagesWaitForTheirReader) {
  Surroundings full = not_blocking();
  full.stderr_is_full = true;
  Program program({"run", "--no-such-flag"}, full);
  program.wait_until_it_sleeps_in("poll");
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 2) << finished.status;
  EXPECT_NE(finished.err.find("bit-axon: "), std::string::npos);
  EXPECT_TRUE(finished.err.ends_with("\n"));
}

TEST(StreamsCli, StopsWaitingWhenTheReaderClosesThePipe) {
  Surroundings full = not_blocking();
  full.stdout_is_full = true;
  Program program({"--help"}, full);
  program.wait_until_it_sleeps_in("poll");
  program.close_stdout();
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 1) << finished.describe();
  EXPECT_EQ(finished.err, "bit-axon: stdout: cannot write: Broken pipe\n");
}

}  // namespace
}  // namespace bitaxon::test
