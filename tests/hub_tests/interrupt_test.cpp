// Tests of interrupted downloads, and of how the next download continues them.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "fake_hub.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSize = 300'000, kFirstPiece = 100'000;

/// A test whose store sends only the first piece of a file and then stalls.
class InterruptTest : public HubTest {
 protected:
  InterruptTest() {
    hub_.add("model.safetensors", some_bytes(kSize), true);
    hub_.on_store = [&](const Connection& connection, const SeenRequest& request) {
      if (request.first_byte() > 0) return false;
      connection.send_head(200, fmt::format("Content-Length: {}\r\n", kSize));
      connection.send(hub_.contents("model.safetensors").substr(0, kFirstPiece));
      connection.stall();
      return true;
    };
  }
  /// Runs the program, and sends it a signal when the partial file has the first piece.
  Finished end_midway(int signal, const fs::path& partial, const Arguments& more = {}) {
    Program program(Arguments{"download", "owner/name"} + more, surroundings_);
    EXPECT_TRUE(program.wait_until([&] {
      std::error_code error;
      return fs::file_size(partial, error) == kFirstPiece && !error;
    }));
    program.send_signal(signal);
    return program.finish();
  }
  void expect_continued() {
    EXPECT_EQ(run_download().status, 0);
    EXPECT_EQ(hub_.fetches().back().field("range"), fmt::format("bytes={}-", kFirstPiece));
    expect_all_here();
  }
};

TEST_F(InterruptTest, CtrlCKeepsThePartialFile) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const Finished finished = end_midway(signal, partial("model.safetensors"));
    EXPECT_EQ(finished.status, 130) << finished.describe();
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(finished.err_lines().back(), "bit-axon: interrupted; the same command continues");
    EXPECT_FALSE(fs::exists(snapshot()));
    expect_continued();
    fs::remove_all(repository());
  }
}

TEST_F(InterruptTest, ContinuesAKilledDownload) {
  EXPECT_EQ(end_midway(SIGKILL, partial("model.safetensors")).signal, SIGKILL);
  EXPECT_FALSE(fs::exists(snapshot()));
  expect_continued();
}

TEST_F(InterruptTest, AnIncompleteFileIsNotVisibleInALocalFolder) {
  const fs::path folder = cache_ / "folder";
  const Arguments into = {"--local-dir", folder.string()};
  const fs::path partial =
      folder / ".cache/huggingface/download" / (hub_.id("model.safetensors") + ".incomplete");
  EXPECT_EQ(end_midway(SIGKILL, partial, into).signal, SIGKILL);
  EXPECT_FALSE(fs::exists(folder / "model.safetensors"));
  EXPECT_EQ(run_download(into).status, 0);
  EXPECT_EQ(hub_.fetches().back().first_byte(), kFirstPiece);
  EXPECT_EQ(read_file(folder / "model.safetensors"), hub_.contents("model.safetensors"));
}

TEST_F(InterruptTest, CtrlCWorksWhileTheHubIsSilent) {
  hub_.on_api = [](const Connection& connection, const SeenRequest&) {
    connection.stall();
    return true;
  };
  Program program({"download", "owner/name"}, surroundings_);
  ASSERT_TRUE(program.wait_until([&] { return !hub_.server.requests().empty(); }));
  program.send_signal(SIGINT);
  EXPECT_EQ(program.finish().status, 130);
}

TEST_F(InterruptTest, CtrlCWorksDuringThePauseBeforeARetry) {
  hub_.on_api = [](const Connection& connection, const SeenRequest&) {
    connection.answer(503, "", "Retry-After: 60\r\n");
    return true;
  };
  Program program({"download", "owner/name"}, surroundings_);
  ASSERT_TRUE(program.wait_until([&] { return !hub_.server.requests().empty(); }));
  program.send_signal(SIGINT);
  EXPECT_EQ(program.finish().status, 130);
}

}  // namespace
}  // namespace bitaxon::test
