// Runs the program: `port-weights`.
#include <gtest/gtest.h>

#include <cmath>

#include "program.h"
#include "support/qwen_model.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

class PortWeightsCli : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  void expect_refusal(const Arguments& more, int status, std::string_view mentioned) {
    const Finished finished = run(Arguments{"port-weights", path("out"), "--quiet"} + more);
    EXPECT_EQ(finished.status, status) << finished.describe();
    EXPECT_EQ(finished.err_lines().size(), 1U) << finished.err;
    EXPECT_NE(finished.err.find(mentioned), finished.err.npos) << finished.err;
    EXPECT_FALSE(fs::exists(path("out")));
  }

  TemporaryFolder folder_;
};

TEST_F(PortWeightsCli, TheSmallModelNeedsNoSource) {
  const Finished finished = run_well({"port-weights", path("model"), "--config-small"});
  EXPECT_NE(finished.out.find("saved"), finished.out.npos);
  EXPECT_NE(finished.err.find("random weights"), finished.err.npos);
  run_well({"run", "-m", path("model"), "--device", "cpu", "--max-tokens", "2", "hello"});
  run_well({"inspect", path("model"), "--check"});
  run_well({"quantize", path("model")});
  run_well({"run", "-m", path("model/q4"), "--device", "cpu", "--max-tokens", "2", "hello"});
  const Finished ids = run_well({"tokenize", "-m", path("model"), "<|im_start|>a<|im_end|>"});
  EXPECT_EQ(ids.out, "[1022, 97, 1023]\n");
  write_file(path("chats.jsonl"), R"({"prompt": "Hello", "completion": "Good day."})");
  const Json trained =
      run_json({"train", path("chats.jsonl"), "-w", path("model"), "-o", path("run"), "--max-steps",
                "1", "--device", "cpu", "--no-thermal", "--quiet", "--json"});
  EXPECT_NEAR(trained["loss"], std::log(1024), 1);  // it knows nothing about 1024 tokens
}

TEST_F(PortWeightsCli, ReadsASourceAndACorpus) {
  write_qwen(path("qwen"));
  write_file(path("corpus.txt"), "ZZ1ZZ2ZZ");
  const Json report =
      run_json({"port-weights", path("model"), "--config-small", "--source", path("qwen"),
                "--corpus", path("corpus.txt"), "--expert-noise", "0.5", "--json"});
  EXPECT_EQ(report["n_mapped_tokens"], 1024);
  EXPECT_EQ(report["parts"]["ssm"]["from_source"], 0);
  const Finished ids = run_well({"tokenize", "-m", path("model"), "ZZ"});
  EXPECT_EQ(ids.out, "[0]\n");
}

TEST_F(PortWeightsCli, RefusesWhatItCannotUse) {
  write_qwen(path("qwen"));
  const Arguments source = {"--source", path("qwen")};
  expect_refusal({}, 1, "bit-axon download Qwen/Qwen2.5-3B");
  expect_refusal({"--source", path("nosuch")}, 1, "--source");
  expect_refusal(source, 2, "vocabulary");
  expect_refusal(source + Arguments{"--config-medium"}, 2, "vocabulary");
  expect_refusal({"--config-small", "--config-medium"}, 2, "--config-medium");
  expect_refusal({"--config-small", "--seed", "x"}, 2, "--seed");
  expect_refusal({"--config-small", "--dtype", "q4"}, 2, "--dtype");
  expect_refusal({"--config-small", "--expert-noise", "-1"}, 2, "--expert-noise");
  expect_refusal({"--config-small", "--expert-noise", "nan"}, 2, "--expert-noise");
  expect_refusal({"--config-small", "--corpus", path("nosuch.txt")}, 1, "nosuch.txt");
  write_file(path("empty.txt"), "");
  expect_refusal({"--config-small", "--corpus", path("empty.txt")}, 1,
                 "empty.txt: expected a text, got an empty file");
  const Finished file = run({"port-weights", path("m.safetensors"), "--config-small"});
  EXPECT_EQ(file.status, 2) << file.describe();
  fs::create_directories(path("full"));
  write_file(path("full/file"), "x");
  const Finished full = run({"port-weights", path("full"), "--config-small", "--quiet"});
  EXPECT_EQ(full.status, 1) << full.describe();
  EXPECT_EQ(full.err_lines().size(), 1U) << full.err;
}

}  // namespace
}  // namespace bitaxon::test
