// Runs the recorded cases of the original program on the devices "reference" and "cpu".
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <span>

#include "bitaxon/devices.h"
#include "support/golden_cases.h"

namespace bitaxon::test {
namespace {

struct Device {
  const char* selector;
  int n_threads;
  Precision precision;
};
constexpr Device kDevices[] = {
    {"reference", 1, Precision::exact},
    {"cpu", 2, Precision::exact},
    {"cpu", 2, Precision::fast},
};

struct GoldenParam {
  std::string folder;
  Device device;

  /// Names the case in messages of failed tests.
  friend void PrintTo(const GoldenParam& param, std::ostream* out) { *out << param.folder; }
};

std::vector<GoldenParam> params(const std::vector<std::filesystem::path>& folders,
                                std::span<const Device> devices) {
  std::vector<GoldenParam> all;
  for (const auto& folder : folders)
    for (const Device& device : devices) all.push_back({folder.string(), device});
  return all;
}

std::string param_name(const testing::TestParamInfo<GoldenParam>& info) {
  return fmt::format("{}_{}_{}", std::filesystem::path(info.param.folder).filename().string(),
                     info.param.device.selector, name_of(info.param.device.precision));
}

class Golden : public testing::TestWithParam<GoldenParam> {
 protected:
  std::shared_ptr<Backend> backend_ =
      open_device(GetParam().device.selector, {.n_threads = GetParam().device.n_threads}).backend;
  GoldenCase case_{*backend_, GetParam().folder, GetParam().device.precision};
};

TEST_P(Golden, PrefillInAnySplitAgreesWithTheRecording) {
  for (const GoldenPrompt& prompt : case_.prompts())
    for (const auto& pieces : GoldenCase::splits_of(prompt))
      expect_within(case_.bound(), case_.prefill(prompt, pieces));
}

TEST_P(Golden, DecodingWithCarriedStateAgreesWithTheRecording) {
  const GoldenRows rows = case_.decode();
  expect_within(case_.bound(), rows);
  for (std::size_t t = 0; t < case_.greedy_ids().size(); ++t) {
    const auto row = rows.row(t);
    EXPECT_EQ(std::max_element(row.begin(), row.end()) - row.begin(), case_.greedy_ids()[t])
        << "token " << t;
  }
}

TEST_P(Golden, EveryLayerAgreesWithTheRecording) {
  for (const GoldenRows& rows : case_.layers()) expect_within(case_.bound(), rows);
}

INSTANTIATE_TEST_SUITE_P(Recorded, Golden,
                         testing::ValuesIn(params(golden_case_folders(), kDevices)), param_name);
INSTANTIATE_TEST_SUITE_P(RecordedFamilies, Golden,
                         testing::ValuesIn(params(family_case_folders(), kDevices)), param_name);

}  // namespace
}  // namespace bitaxon::test
