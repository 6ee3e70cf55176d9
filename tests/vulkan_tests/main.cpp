// Runs the tests. A test fails if a validation layer sends a message while the test runs.
#include <gtest/gtest.h>

#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

class MessagesFail final : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo&) override {
    vulkan::Messages& all = messages();
    const std::lock_guard lock(all.mutex);
    for (const std::string& line : all.lines)
      if (!is_about_the_layer(line)) ADD_FAILURE() << "validation: " << line;
    all.lines.clear();
  }
};

}  // namespace
}  // namespace bitaxon::test

int main(int argc, char** argv) {
  bitaxon::test::messages();  // creates the messages before the backend, so that they outlive it
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new bitaxon::test::MessagesFail);
  const int status = RUN_ALL_TESTS();
  bitaxon::test::shared_backends().clear();
  return status;
}
