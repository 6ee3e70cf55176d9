// Tests of functions that run another program or change the environment.
#include "platform/child_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "bitaxon/error.h"
#include "platform/environment.h"

namespace bitaxon::test {
namespace {

using std::chrono::seconds;

constexpr seconds kLong{100};

ChildEnd shell(const std::string& script, std::chrono::milliseconds patience = kLong) {
  return run_child("/bin/sh", {"-c", script}, environment_with({{"BX_TEST", "1 2"}}), patience);
}

TEST(RunChild, ReturnsOutputsAndExitStatus) {
  const ChildEnd end = shell("echo \"out $BX_TEST\"; echo err >&2; cat; exit 3");
  EXPECT_EQ(end.out, "out 1 2\n");
  EXPECT_EQ(end.err, "err\n");
  EXPECT_EQ(end.exit_status, 3);
  EXPECT_EQ(end.signal, 0);
  EXPECT_FALSE(end.was_silent);
}

TEST(RunChild, ReportsASignalInsteadOfAStatus) {
  const ChildEnd end = shell("echo begun; kill -SEGV $$");
  EXPECT_EQ(end.out, "begun\n");
  EXPECT_FALSE(end.exit_status);
  EXPECT_EQ(end.signal, SIGSEGV);
}

TEST(RunChild, KillsAHangingProgram) {
  const ChildEnd end = shell("echo begun; while :; do :; done", std::chrono::milliseconds(300));
  EXPECT_TRUE(end.was_silent);
  EXPECT_EQ(end.signal, 0);
  EXPECT_FALSE(end.exit_status);
}

TEST(RunChild, WaitsForTheEndAfterStdoutIsClosed) {
  const ChildEnd end = shell("exec >&-; sleep 0.1; exit 4");
  EXPECT_EQ(end.exit_status, 4);
}

TEST(RunChild, DoesNotWaitForGrandchildren) {
  const ChildEnd end = shell("sleep 20 & echo done");
  EXPECT_EQ(end.out, "done\n");
  EXPECT_EQ(end.exit_status, 0);
  EXPECT_FALSE(end.was_silent);
}

TEST(RunChild, KeepsOnlyTheEndOfLongOutput) {
  const ChildEnd end = shell("yes 12345678 | head -c 300000 >&2; echo last >&2; echo done");
  EXPECT_EQ(end.out, "done\n");
  EXPECT_LE(end.err.size(), std::size_t{4096});
  EXPECT_TRUE(end.err.ends_with("last\n")) << end.err;
}

TEST(RunChild, ResetsSignalHandlingInTheChild) {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  EXPECT_EQ(shell("kill -PIPE $$").signal, SIGPIPE);
  EXPECT_EQ(shell("kill -TERM $$").signal, SIGTERM);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
}

TEST(RunChild, WorksWhenTheSystemReapsTheChild) {
  ::signal(SIGCHLD, SIG_IGN);  // asks the system to reap the child
  const ChildEnd end = shell("echo done; exit 5");
  ::signal(SIGCHLD, SIG_DFL);
  EXPECT_EQ(end.out, "done\n");
  EXPECT_EQ(end.signal, 0);
  EXPECT_FALSE(end.was_silent);
}

TEST(RunChild, RefusesAMissingProgram) {
  EXPECT_THROW(run_child("/no/such/program", {}, {}, kLong), Error);
  EXPECT_THROW(run_child("/", {}, {}, kLong), Error);
}

TEST(ChangedEnvironment, RestoresTheEnvironmentWhenDestroyed) {
  ::setenv("BX_TEST_A", "before", 1);
  ::unsetenv("BX_TEST_B");
  char** const list = environ;
  for (int i = 0; i < 3; ++i) {
    {
      const ChangedEnvironment changed({{"BX_TEST_A", std::nullopt}, {"BX_TEST_B", "new"}});
      EXPECT_EQ(std::getenv("BX_TEST_A"), nullptr);
      EXPECT_STREQ(std::getenv("BX_TEST_B"), "new");
      EXPECT_NE(std::getenv("PATH"), nullptr);
    }
    EXPECT_STREQ(std::getenv("BX_TEST_A"), "before");
    EXPECT_EQ(std::getenv("BX_TEST_B"), nullptr);
    EXPECT_EQ(environ, list);
  }
  {
    const ChangedEnvironment unchanged({});
    EXPECT_EQ(environ, list);
  }
}

TEST(ChangedEnvironment, KeepsVariablesThatWereSetInTheMeantime) {
  {
    const ChangedEnvironment changed(EnvironmentChanges{{"BX_TEST_C", "1"}});
    ::setenv("BX_TEST_D", "2", 1);
  }
  EXPECT_STREQ(std::getenv("BX_TEST_D"), "2");
  ::unsetenv("BX_TEST_C");
  ::unsetenv("BX_TEST_D");
}

}  // namespace
}  // namespace bitaxon::test
