// Tests of what the program does if the system refuses to start a thread.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "platform/paths.h"
#include "program.h"

namespace bitaxon::test {
namespace {

Surroundings refusing(int thread) {
  const auto library = executable_path().parent_path() / "librefuse_a_thread.so";
  EXPECT_TRUE(std::filesystem::exists(library)) << library;
  const char* options = std::getenv("ASAN_OPTIONS");
  Surroundings surroundings;
  surroundings.environment = {
      {"LD_PRELOAD", library.string()},
      {"BX_REFUSED_THREAD", fmt::format("{}", thread)},
      // Without this option, AddressSanitizer demands to be the first library.
      {"ASAN_OPTIONS", fmt::format("{}:verify_asan_link_order=0", options ? options : "")}};
  return surroundings;
}

void expect_one_line(const Arguments& arguments, int refused) {
  SCOPED_TRACE(fmt::format("{}, thread {}", arguments[0], refused));
  const Finished finished = run(arguments, "", refusing(refused));
  EXPECT_EQ(finished.status, 1) << finished.describe();
  EXPECT_EQ(finished.out, "");
  EXPECT_EQ(finished.err, "bit-axon: cannot start 3 threads: Resource temporarily unavailable\n");
}

// The CPU backend has one thread that runs the steps, and two threads that share the loops with it.
TEST(ThreadLimitCli, ReportsAMissingThreadOfTheCpu) {
  for (int refused = 1; refused <= 3; ++refused)
    expect_one_line(
        {"run", "--quiet", "--device", "cpu", "--threads", "3", "--max-tokens", "3", "a"}, refused);
}

// The measuring threads wait for each other before they begin. This test refuses each of the
// threads of the first pass, and one thread of the second pass.
TEST(ThreadLimitCli, ReportsAMissingThreadThatMeasuresRates) {
  for (int refused = 4; refused <= 7; ++refused)
    expect_one_line({"benchmark", "--quiet", "--config-small", "--device", "cpu", "--threads", "3",
                     "-s", "4", "-w", "0", "-i", "1", "--decode-tokens", "0"},
                    refused);
}

TEST(ThreadLimitCli, RunsWithoutThreadsThatItDoesNotNeed) {
  const Arguments arguments = {"run",    "--quiet", "--device",     "cpu", "--threads", "3",
                               "--seed", "1",       "--max-tokens", "3",   "a"};
  EXPECT_EQ(run_well(arguments, "", refusing(4)).out, run_well(arguments).out);
}

}  // namespace
}  // namespace bitaxon::test
