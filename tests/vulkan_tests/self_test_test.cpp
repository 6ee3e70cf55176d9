// Tests of the self-test. Variants for precision "fast" are used only if the device passes this
// self-test.
#include "vulkan/device/self_test.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "vulkan/device/attempt.h"
#include "vulkan_tests/test_device.h"
#include "vulkan_tests/test_gpu.h"

namespace bitaxon::test {
namespace {

TEST(SelfTest, FindsNoProblemOnACorrectDevice) {
  EXPECT_EQ(vulkan::fast_product_problem(vulkan_backend()), "");
}

TEST(SelfTest, FindsNoProblemWithIntegerDotsAndMixedProducts) {
  vulkan::VulkanOptions options = test_options();
  options.limit_caps = [](vulkan::DeviceCaps& caps) {
    caps.type = vulkan::DeviceType::discrete;
    caps.mixed_products = true;
    caps.fast_integer_dots = caps.integer_dots;
  };
  const auto backend = vulkan::open_vulkan_backend(options);
  const vulkan::DeviceCaps& caps = vulkan::device_caps(*backend);
  const std::vector<VariantChoice>& variants = backend->caps().variants;
  EXPECT_EQ(variants.at(1).variant, caps.integer_dots ? "integer dots" : "no integer dots")
      << variants.at(1).reason;
  EXPECT_EQ(variants.at(2).variant, "halves") << variants.at(2).reason;
  EXPECT_TRUE(caps.mixed_products);
  EXPECT_EQ(caps.fast_integer_dots, caps.integer_dots);
}

/// A backend that returns wrong results in precision fast.
class WrongWhenFast final : public Backend {
 public:
  explicit WrongWhenFast(Backend& inner) : inner_(inner) {}
  const BackendCaps& caps() const override { return inner_.caps(); }
  std::shared_ptr<const BackendDescription> description() const override {
    return inner_.description();
  }
  Buffer allocate(std::size_t n, BufferUse use) override { return inner_.allocate(n, use); }
  void upload(const Buffer& b, std::size_t at, std::span<const std::byte> from) override {
    inner_.upload(b, at, from);
  }
  void download(const Buffer& b, std::size_t at, std::span<std::byte> to) override {
    inner_.download(b, at, to);
    // The float32 number 3.4e38.
    if (precision_ == Precision::fast) to[0] = to[1] = to[2] = to[3] = std::byte{0x7f};
  }
  void copy(std::span<const BufferCopy> copies) override { inner_.copy(copies); }
  void finish() override { inner_.finish(); }
  std::shared_ptr<const Weight> pack(const WeightDesc& desc, const WeightParts& parts) override {
    return inner_.pack(desc, parts);
  }
  Executable compile(std::shared_ptr<const Plan> plan, const PlanContext& context) override {
    precision_ = context.precision;
    return inner_.compile(std::move(plan), context);
  }
  Ticket submit(const Executable& executable, const StepBuffer& step) override {
    return inner_.submit(executable, step);
  }
  StepResult wait(Ticket ticket) override { return inner_.wait(ticket); }
  StepCounts last_step() const override { return inner_.last_step(); }

 private:
  Backend& inner_;
  Precision precision_ = Precision::exact;
};

/// Counts the tests that problem_of_variant() makes.
int n_tests = 0;
std::string failing_test() {
  ++n_tests;
  return "off by 1";
}
std::string passing_test() {
  ++n_tests;
  return "";
}

TEST(SelfTest, IsMadeAgainIfItsNoteIsDamaged) {
  const TemporaryFolder folder;
  const TestGpu gpu;
  const vulkan::PipelineCache notes(gpu.device(), folder.path());
  const vulkan::Failure failure;
  const auto problem = [&](std::string (*test)()) {
    return vulkan::problem_of_variant("integer dots", test, notes, failure);
  };
  n_tests = 0;
  EXPECT_EQ(problem(failing_test), "off by 1");
  EXPECT_NE(problem(passing_test).find("off by 1 (vulkan-"), std::string::npos)
      << "the note names the file that keeps the result";
  EXPECT_EQ(n_tests, 1);
  for (const char* damaged : {"agr", "agree", "failed: off", "failed: a\nb\n", "else\n"}) {
    notes.write_note("integer-dots", damaged);
    n_tests = 0;
    EXPECT_EQ(problem(passing_test), "") << damaged;
    EXPECT_EQ(n_tests, 1) << damaged;
    EXPECT_EQ(problem(failing_test), "") << "the result of the test is kept";
    EXPECT_EQ(n_tests, 1) << damaged;
  }
}

TEST(SelfTest, IsNotMadeAfterItEndedTwoRuns) {
  const TemporaryFolder folder;
  const TestGpu gpu;
  const vulkan::PipelineCache notes(gpu.device(), folder.path());
  for (int run = 0; run < 2; ++run) vulkan::Attempt(notes, "self-test", "integer-dots");
  n_tests = 0;
  EXPECT_NE(vulkan::problem_of_variant("integer dots", passing_test, notes, vulkan::Failure())
                .find("two earlier runs ended in the self-test of integer-dots"),
            std::string::npos);
  EXPECT_EQ(n_tests, 0);
}

TEST(SelfTest, DetectsAWrongResult) {
  WrongWhenFast wrong(vulkan_backend());
  EXPECT_NE(vulkan::fast_product_problem(wrong).find("off by"), std::string::npos);
  EXPECT_NE(vulkan::few_rows_problem(wrong, [](bool) {}).find("off by"), std::string::npos);
}

}  // namespace
}  // namespace bitaxon::test
