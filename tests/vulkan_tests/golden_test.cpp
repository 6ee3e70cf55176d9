// Runs the recorded cases of the original program on the GPU.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "support/golden_cases.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

struct GoldenParam {
  std::string folder;
  Precision precision;
};

bool is_brief(const GoldenParam& param) {
  return std::filesystem::path(param.folder).filename() == "tiny_trained";
}

std::vector<GoldenParam> params(const std::vector<std::filesystem::path>& folders) {
  std::vector<GoldenParam> all;
  for (const auto& folder : folders)
    for (const Precision precision : {Precision::exact, Precision::fast})
      all.push_back({folder.string(), precision});
  return all;
}

std::string param_name(const testing::TestParamInfo<GoldenParam>& info) {
  return fmt::format("{}_{}", std::filesystem::path(info.param.folder).filename().string(),
                     name_of(info.param.precision));
}

class VulkanGolden : public testing::TestWithParam<GoldenParam> {
 protected:
  GoldenCase case_{vulkan_backend(), GetParam().folder, GetParam().precision};
};

class VulkanGoldenSplits : public VulkanGolden {};

TEST_P(VulkanGoldenSplits, PrefillInAnySplitAgreesWithTheRecording) {
  for (const GoldenPrompt& prompt : case_.prompts())
    for (const auto& pieces : GoldenCase::splits_of(prompt))
      expect_within(case_.bound(), case_.prefill(prompt, pieces));
}

TEST_P(VulkanGolden, DecodingWithCarriedStateAgreesWithTheRecording) {
  const GoldenRows rows = case_.decode();
  expect_within(case_.bound(), rows);
  for (std::size_t t = 0; t < case_.greedy_ids().size(); ++t) {
    const auto row = rows.row(t);
    EXPECT_EQ(std::max_element(row.begin(), row.end()) - row.begin(), case_.greedy_ids()[t])
        << "token " << t;
  }
}

TEST_P(VulkanGolden, EveryLayerAgreesWithTheRecording) {
  for (const GoldenRows& rows : case_.layers()) expect_within(case_.bound(), rows);
}

/// The parameters for one folder if `brief` is true, otherwise for all other folders. Each split of
/// the other folders takes seconds on a software driver.
std::vector<GoldenParam> split_params(bool brief) {
  std::vector<GoldenParam> some = params(golden_case_folders());
  std::erase_if(some, [&](const GoldenParam& param) { return is_brief(param) != brief; });
  return some;
}

/// Recorded models of other families: one of each kind of block, or of each kind of weight, if
/// `brief` is true, otherwise the others. Models of F32 weights run exactly in both precisions.
std::vector<GoldenParam> family_params(bool brief) {
  const std::set<std::string> kinds = {"qwen3_window",    "qwen3_yarn",          "qwen3moe_a",
                                       "falcon_mamba_a",  "jamba_a_bf16",        "mlx_qwen2_q5_g32",
                                       "mlx_qwen3moe_q4", "mlx_jamba_q4",        "mlx_qwen3_mxfp4",
                                       "bnb_qwen2_int8",  "bnb_falcon_mamba_fp4"};
  std::vector<GoldenParam> some = params(family_case_folders());
  std::erase_if(some, [&](const GoldenParam& param) {
    return kinds.contains(std::filesystem::path(param.folder).filename()) != brief;
  });
  return some;
}

INSTANTIATE_TEST_SUITE_P(Recorded, VulkanGolden, testing::ValuesIn(params(golden_case_folders())),
                         param_name);
INSTANTIATE_TEST_SUITE_P(Recorded, VulkanGoldenSplits, testing::ValuesIn(split_params(true)),
                         param_name);
INSTANTIATE_TEST_SUITE_P(ExhaustiveRecorded, VulkanGoldenSplits,
                         testing::ValuesIn(split_params(false)), param_name);
INSTANTIATE_TEST_SUITE_P(RecordedFamilies, VulkanGolden, testing::ValuesIn(family_params(true)),
                         param_name);
INSTANTIATE_TEST_SUITE_P(ExhaustiveRecordedFamilies, VulkanGolden,
                         testing::ValuesIn(family_params(false)), param_name);
INSTANTIATE_TEST_SUITE_P(ExhaustiveRecordedFamilies, VulkanGoldenSplits,
                         testing::ValuesIn(params(family_case_folders())), param_name);

}  // namespace
}  // namespace bitaxon::test
