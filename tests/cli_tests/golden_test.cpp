// Runs the recorded cases with the program. Compares the greedy ids, and the logits for several
// splits of the prompt.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "model_folder.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

/// A device of this build. A build without the CPU backend cannot silently fall back to the CPU.
struct GoldenDevice {
  const char* selector;
  const char* name;
  double bound;  ///< the bound on the relative L2 difference of logits in exact precision
};
constexpr GoldenDevice kDevices[] = {
#ifdef BITAXON_WITH_CPU
    {"reference", "reference", 1e-5},
    {"cpu", "cpu", 5e-5},
#endif
#ifdef BITAXON_WITH_VULKAN
    {"vulkan:llvmpipe", "vulkan", 5e-5},
#endif
};

class GoldenCli : public testing::TestWithParam<const char*> {
 protected:
  std::string folder_ = GetParam();
  Arguments model_ = {"--model", golden_model(folder_).string(), "--quiet"};
  Checkpoint io_ = golden_io(folder_);
  std::vector<std::int32_t> input_ids_ = read_i32(io_, "input_ids");
  std::vector<std::int32_t> greedy_ids_ = read_i32(io_, "greedy_ids");
  TemporaryFolder temporary_;

  /// Runs `bit-axon logits` and returns the tensor that it writes.
  std::vector<float> logits(const Arguments& more) {
    const auto out = temporary_ / "out.safetensors";
    const Finished finished = run_well(Arguments{"logits", "--out", out.string()} + model_ + more);
    EXPECT_EQ(finished.out + finished.err, "");
    const Checkpoint file = Checkpoint::open(out);
    EXPECT_EQ(file.tensors().size(), 1U);
    const TensorInfo& info = info_of(file, "logits");
    EXPECT_EQ(info.dtype, DType::f32);
    return read_f32(file, "logits");
  }
};

TEST_P(GoldenCli, ReproducesGreedyIdsAtAnyRunAhead) {
  for (const GoldenDevice& device : kDevices)
    for (const char* run_ahead : {"0", "1", "8"}) {
      SCOPED_TRACE(fmt::format("{} {}", device.selector, run_ahead));
      const Json json = run_json(
          Arguments{"run", "--prompt-ids", joined(input_ids_), "--temperature", "0", "--json",
                    "--max-tokens", std::to_string(greedy_ids_.size()), "--device", device.selector,
                    "--run-ahead", run_ahead, "--ignore-eos"} +
          model_);
      EXPECT_EQ(json["token_ids"].get<std::vector<std::int32_t>>(), greedy_ids_);
      EXPECT_EQ(json["prompt_tokens"], input_ids_.size());
      EXPECT_EQ(json["completion_tokens"], greedy_ids_.size());
      EXPECT_EQ(json["finish_reason"], "length");
      EXPECT_EQ(json["device"], device.name);
    }
}

TEST_P(GoldenCli, ReproducesLogitsInAnySplit) {
  const auto expected = read_f32(io_, "prefill_logits");
  const auto n = static_cast<std::int64_t>(input_ids_.size());
  const auto ids_file = temporary_ / "ids.json";
  write_file(ids_file, fmt::format(" [{}]\n", joined(input_ids_)));
  std::string ones = "1";
  for (std::int64_t i = 1; i < n; ++i) ones += ",1";
  const std::vector<Arguments> splits = {{},
                                         {"--split", std::to_string(n)},
                                         {"--split", fmt::format("7,{},1,1", n - 9)},
                                         {"--split", fmt::format(" [1, {}] ", n - 1)},
                                         {"--split", ones}};
  for (const GoldenDevice& device : kDevices)
    for (const Arguments& split : splits) {
      const Arguments ids = split.size() % 4 == 0 ? Arguments{"--ids-file", ids_file.string()}
                                                  : Arguments{"--ids", joined(input_ids_)};
      const auto actual =
          logits(Arguments{"--device", device.selector, "--precision", "exact"} + split + ids);
      expect_close(actual, expected, n, device.bound,
                   fmt::format("{} --split {}", device.selector, split.empty() ? "" : split[1]));
    }
}

std::string folder_name(const testing::TestParamInfo<const char*>& info) { return info.param; }

INSTANTIATE_TEST_SUITE_P(Recorded, GoldenCli, testing::Values("tiny_trained"), folder_name);
INSTANTIATE_TEST_SUITE_P(ExhaustiveRecorded, GoldenCli,
                         testing::Values("tiny_window", "tiny_long", "tiny_mixed", "tiny_nf4",
                                         "tiny_q4_linear_only"),
                         folder_name);

}  // namespace
}  // namespace bitaxon::test
