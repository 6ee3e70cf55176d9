// Tests of invalid command lines and invalid environment variables of `bit-axon download`.
#include <gtest/gtest.h>

#include "fake_hub.h"

namespace bitaxon::test {
namespace {

class DownloadCommand : public HubTest {
 protected:
  void expect_usage(const Arguments& arguments, std::string_view fragment) const {
    const Finished finished = run(Arguments{"download"} + arguments, "", surroundings_);
    EXPECT_EQ(finished.status, 2) << finished.describe();
    EXPECT_EQ(finished.err_lines().size(), 1U) << finished.err;
    EXPECT_NE(finished.err.find(fragment), finished.err.npos) << finished.err << fragment;
  }
};

TEST_F(DownloadCommand, RefusesInvalidArguments) {
  for (const char* name : {"a", "../b", "a/b/c", "https://huggingface.co/a/b", "a/b\x1b"})
    expect_usage({name}, "REPO: expected owner/name");
  expect_usage({""}, "REPO");
  expect_usage({"a/b", "c/d"}, "c/d");
  for (const char* revision : {"..", "/main", "a/../b", "a\\b", "a\n"})
    expect_usage({"a/b", "--revision", revision}, "--revision: expected a branch");
  for (const char* timeout : {"0", "-1", "1.5", "3601", "x", "nan"})
    expect_usage({"a/b", "--timeout", timeout},
                 "--timeout: expected a whole number from 1 to 3600");
  expect_usage({"a/b", "--local-dir", ""}, "--local-dir");
  expect_usage({"a/b", "-d", ""}, "--local-dir");
  expect_usage({"a/b", "--include", ""}, "--include");
  expect_usage({"a/b", "--include"}, "--include");
  // If this command line were accepted, a/b would count as a pattern. The program would then fetch
  // JSON files of the default model.
  expect_usage({"--include", "*.json", "a/b"}, "--include: expected REPO before it, got \"a/b\"");
}

TEST_F(DownloadCommand, RefusesInvalidVariables) {
  const auto refused = [&](const std::string& name, const std::string& value,
                           std::string_view fragment, int status = 2) {
    const Surroundings before = surroundings_;
    surroundings_.environment[name] = value;
    expect_refusal({}, status, {name, fragment});
    surroundings_ = before;
  };
  for (const char* value : {"1", "on", "YES", "true"})
    for (const char* name : {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"})
      refused(name, value, "not to be set", 1);
  for (const char* value : {"http://example.org", "ftp://127.0.0.1", "file:///tmp", "example",
                            "http://user:word@127.0.0.1", "http://127.0.0.1?a=b"})
    refused("HF_ENDPOINT", value, "expected");
  for (const char* value : {"a\r\nHost: example.org", "a b", "\x80"})
    for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
      refused(name, value, "expected a token");
  EXPECT_TRUE(hub_.server.requests().empty());
}

TEST_F(DownloadCommand, AsksForTheDefaultModel) {
  const Finished finished = run({"download", "--quiet"}, "", surroundings_);
  EXPECT_EQ(finished.status, 1) << finished.describe();
  ASSERT_EQ(hub_.server.requests().size(), 1U);
  EXPECT_EQ(hub_.server.requests()[0].target,
            "/api/models/skyoo2003/bit-axon/revision/main?blobs=true");
}

}  // namespace
}  // namespace bitaxon::test
