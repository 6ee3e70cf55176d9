// Tests with device nodes of GPUs that the user may not open.
#include "vulkan/device/device_access.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "support/small_models.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::vulkan::test {
namespace {

using bitaxon::test::TemporaryFolder;
using bitaxon::test::write_text;

class DeviceAccess : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(dev_ / "dri/by-path");
    std::filesystem::create_directories(dev_ / "nvidia-caps");
    for (const char* name : {"dri/card0", "dri/renderD128", "dri/renderD129", "null", "nvidia0"})
      write_text(dev_ / name, "");
  }
  /// The problem that is reported if opening any of `nodes` fails with the error number `error`.
  std::string problem(const std::vector<std::string>& nodes, int error) const {
    return access_problem(dev_.path(), [&](const std::filesystem::path& node) {
      const bool fails = std::find(nodes.begin(), nodes.end(), node.filename()) != nodes.end();
      return fails ? error : 0;
    });
  }

  TemporaryFolder dev_;
};

TEST_F(DeviceAccess, NamesTheFirstForbiddenNode) {
  const std::string expected = (dev_ / "dri/renderD129").string() +
                               " may not be opened: is the user in the groups render and video?";
  EXPECT_EQ(problem({"renderD129", "nvidia0"}, EACCES), expected);
  EXPECT_EQ(problem({"renderD129"}, EPERM), expected);
  EXPECT_NE(problem({"nvidia0"}, EACCES).find("/nvidia0 may not"), std::string::npos);
}

TEST_F(DeviceAccess, IgnoresOtherErrorsAndOtherNodes) {
  EXPECT_EQ(problem({}, 0), "");
  EXPECT_EQ(problem({"renderD128"}, ENODEV), "");
  EXPECT_EQ(problem({"card0", "null", "by-path", "nvidia-caps"}, EACCES), "");
  EXPECT_EQ(access_problem("/no/such/folder"), "");
}

TEST_F(DeviceAccess, OpensNodes) {
  EXPECT_EQ(try_node(dev_ / "null"), 0);
  EXPECT_EQ(try_node(dev_ / "no-such"), ENOENT);
  EXPECT_EQ(access_problem(dev_.path()), "");
}

}  // namespace
}  // namespace bitaxon::vulkan::test
