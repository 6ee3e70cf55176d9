// Tests of an examination whose device fails, or that is interrupted: the parts that are done are in
// the report. doctor_test.cpp has the tests of whole examinations.
#include "doctor/examination.h"

#include <gtest/gtest.h>

#include "bitaxon/error.h"
#include "doctor/doctor_report.h"
#include "program.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"
#include "support/wrapped_backend.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOpening = "opening the device";
constexpr const char* kRates = "rates of the device";
constexpr const char* kSpeed = "prefill and decoding";

/// An examination of the CPU, in which a test can break the device when a part begins.
class AnExamination : public testing::Test {
 protected:
  AnExamination() {
    lengths_.model = bundled_model_dir().string();
    lengths_.n_greedy = 2;
    lengths_.rate_seconds = 0;
    lengths_.n_prompt = 4;
    lengths_.n_decode = 2;
    lengths_.presets = {"small"};
    device_->rates = {.read_bytes_per_s = 1e9, .f32_flops_per_s = 1e9};
  }

  tool::Examination run() {
    DeviceInfo info;
    info.selector = "cpu";
    return tool::examine(
        info,
        [&] {
          if (opening_fails_) opening_fails_();
          return OpenedDevice{.backend = device_, .reason = {}};
        },
        lengths_, interrupted_,
        [&](std::string_view part) {
          parts_.emplace_back(part);
          if (on_part_) on_part_(part);
        });
  }

  /// From this call on, the device is lost.
  void lose() {
    device_->before_allocation = [](std::size_t, BufferUse) {
      throw Error(ErrorKind::device, "vkQueueSubmit2: /some/driver/device.c:3 was lost");
    };
  }

  std::shared_ptr<WrappedBackend> device_ =
      std::make_shared<WrappedBackend>(open_device("cpu").backend);
  tool::ExaminationLengths lengths_;
  std::atomic<bool> interrupted_ = false;
  std::vector<std::string> parts_;
  std::function<void()> opening_fails_;
  std::function<void(std::string_view)> on_part_;
};

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(AnExamination, KeepsThePartsBeforeAFailure) {
  on_part_ = [&](std::string_view part) {
    if (part == kSpeed) lose();
  };
  const tool::Examination found = run();
  EXPECT_EQ(found.wrong_result(), "");
  EXPECT_TRUE(holds(found.problem(), "prefill and decoding: vkQueueSubmit2")) << found.problem();
  ASSERT_EQ(found.failures.size(), 1U);
  EXPECT_EQ(found.ops.size(), 2U);
  ASSERT_TRUE(found.tokens);
  EXPECT_EQ(found.tokens->n_same_greedy, 2);
  EXPECT_FALSE(found.speed);
  const Json json = tool::report_json(found);
  expect_keeps_to_schema("doctor", json);
  EXPECT_EQ(json["is_right"], false);
  EXPECT_EQ(json["problem_cause"], "device");
  EXPECT_EQ(json["tokens"]["agreeing"], 2);
  EXPECT_EQ(json["rates"]["read_bytes_per_sec"], 1e9);
  const std::string text = tool::report_text(found);
  EXPECT_TRUE(holds(text, "\nverdict     results: the device failed: prefill and")) << text;
  EXPECT_TRUE(holds(text, "2 of 2 greedy tokens")) << text;
}

TEST_F(AnExamination, NamesAFailureOnceAndNoFolder) {
  on_part_ = [&](std::string_view part) {
    if (part != kOpening) lose();
  };
  const tool::Examination found = run();
  ASSERT_EQ(found.failures.size(), 1U);
  const std::string& failure = found.failures[0].text;
  EXPECT_TRUE(holds(failure, "device.c:3 was lost")) << failure;
  EXPECT_FALSE(holds(failure, "/some")) << failure;
  EXPECT_EQ(found.left_out.size(), 2U);
  EXPECT_TRUE(holds(found.left_out.back(), "prefill and decoding: the device has failed before"));
  EXPECT_EQ(found.rates.n_measured, 1) << "the other parts still run";
  expect_keeps_to_schema("doctor", tool::report_json(found));
}

TEST_F(AnExamination, ReportsADeviceThatDoesNotOpen) {
  opening_fails_ = [] { throw Error(ErrorKind::device, "vkCreateDevice: out of memory"); };
  const tool::Examination found = run();
  EXPECT_EQ(found.problem(), "opening the device: vkCreateDevice: out of memory");
  EXPECT_EQ(found.left_out.size(), 4U);
  EXPECT_EQ(parts_.size(), 1U);
  expect_keeps_to_schema("doctor", tool::report_json(found));
  // A wrong request is no finding about the device.
  opening_fails_ = [] { throw Error(ErrorKind::unsupported, "--tiles: no matrix units"); };
  expect_error([&] { run(); }, ErrorKind::unsupported, {"--tiles"});
}

TEST_F(AnExamination, DoesNotBlameTheDeviceForAMissingModel) {
  const TemporaryFolder folder;
  lengths_.model = (folder / "tiny-missing").string();
  const tool::Examination found = run();
  ASSERT_EQ(found.failures.size(), 1U);
  EXPECT_EQ(found.ops.size(), 2U);
  EXPECT_TRUE(found.speed) << "the other parts still run";
  const Json json = tool::report_json(found);
  expect_keeps_to_schema("doctor", json);
  EXPECT_TRUE(json["is_right"].is_null()) << json["is_right"];
  EXPECT_EQ(json["problem_cause"], "installation");
  const std::string text = tool::report_text(found);
  EXPECT_TRUE(holds(text,
                    "results: not known, because the installation is incomplete: tokens of the "
                    "bundled model beside the CPU: expected the folder tiny-missing of the bundled "
                    "model in share/bit-axon/models"))
      << text;
  EXPECT_FALSE(holds(text, folder.path().string())) << text;
}

TEST_F(AnExamination, DoesNotBlameTheDeviceForADamagedModel) {
  const TemporaryFolder folder;
  fs::copy(bundled_model_dir(), folder.path(), fs::copy_options::recursive);
  write_text(folder / "config.json", "{");
  lengths_.model = folder.path().string();
  const tool::Examination found = run();
  ASSERT_EQ(found.failures.size(), 1U);
  EXPECT_EQ(found.failures[0].cause, tool::FailureCause::installation);
  EXPECT_TRUE(holds(found.problem(), "config.json")) << found.problem();
}

TEST_F(AnExamination, TellsAFaultOfTheProgramFromOneOfTheDevice) {
  on_part_ = [&](std::string_view part) {
    if (part == kSpeed)
      device_->before_allocation = [](std::size_t, BufferUse) {
        throw Error(ErrorKind::internal, "a broken invariant");
      };
  };
  tool::Examination found = run();
  EXPECT_EQ(found.problem(), "prefill and decoding: a broken invariant");
  EXPECT_EQ(found.is_right(), std::nullopt);
  EXPECT_EQ(tool::report_json(found)["problem_cause"], "program");
  EXPECT_TRUE(
      holds(tool::report_text(found), "results: not known, because a part failed: prefill"));
  // A failure of the device comes first.
  found.failures.push_back({tool::FailureCause::device, "rates: the device was lost"});
  EXPECT_EQ(found.problem(), "rates: the device was lost");
  EXPECT_EQ(found.is_right(), false);
}

TEST_F(AnExamination, TakesTheHighestRatesBeforeAndAfterTheSpeed) {
  // A disturbance while the rates are measured, before the speed or after it.
  for (const auto& [before, after] : {std::pair(1e9, 8e9), std::pair(8e9, 1e9)}) {
    device_->rates = {.read_bytes_per_s = before, .f32_flops_per_s = before};
    on_part_ = [&, during = after](std::string_view part) {
      if (part == kSpeed) device_->rates = {.read_bytes_per_s = during, .f32_flops_per_s = during};
    };
    const tool::Examination found = run();
    EXPECT_EQ(found.rates.best.read_bytes_per_s, 8e9);
    EXPECT_EQ(found.rates.worst.read_bytes_per_s, 1e9);
    // Once before the speed, in each of its three rounds, and once after it.
    EXPECT_EQ(found.rates.n_measured, 5);
    ASSERT_TRUE(found.speed);
    for (const BenchRecord& record : found.speed->device.records)
      EXPECT_DOUBLE_EQ(record.seconds_at[static_cast<std::size_t>(BenchRate::read)],
                       static_cast<double>(record.work.stored_bytes) / 8e9);
  }
}

TEST(ExaminationLengths, SuitTheDevice) {
  const auto presets = [](const char* selector, const char* type) {
    DeviceInfo info;
    info.selector = selector;
    info.type = type;
    return tool::ExaminationLengths::for_device(info).presets;
  };
  const std::vector<std::string> small = {"small"};
  EXPECT_EQ(presets("vulkan:0", "discrete").front(), "default");
  EXPECT_EQ(presets("cpu", "cpu"), small);
  EXPECT_EQ(presets("reference", "cpu"), small);
  EXPECT_EQ(presets("vulkan:1", "cpu"), small);
}

TEST_F(AnExamination, KeepsThePartsBeforeAnInterruption) {
  on_part_ = [&](std::string_view part) { interrupted_ = part == kRates; };
  const tool::Examination found = run();
  EXPECT_TRUE(found.interrupted);
  EXPECT_TRUE(found.tokens);
  const std::vector<std::string> left_out = {"rates of the device: interrupted",
                                             "prefill and decoding: interrupted"};
  EXPECT_EQ(found.left_out, left_out);
  EXPECT_EQ(parts_.back(), kRates);
  const Json json = tool::report_json(found);
  expect_keeps_to_schema("doctor", json);
  EXPECT_EQ(json["is_right"], true);
}

TEST_F(AnExamination, InterruptedEarlyKnowsNothing) {
  interrupted_ = true;
  const tool::Examination found = run();
  EXPECT_TRUE(parts_.empty());
  EXPECT_EQ(found.left_out.size(), 5U);
  const Json json = tool::report_json(found);
  expect_keeps_to_schema("doctor", json);
  EXPECT_TRUE(json["is_right"].is_null());
  EXPECT_TRUE(holds(tool::report_text(found), "results: not known, because")) << json;
}

}  // namespace
}  // namespace bitaxon::test
