#include "platform/nvml.h"

#include <gtest/gtest.h>

#include "platform/paths.h"

namespace bitaxon {
namespace {

std::string fake_library() { return (executable_path().parent_path() / "fake_nvml.so").string(); }

TEST(Nvml, ReadsTheTemperatureOfADevice) {
  const Nvml nvml(fake_library());
  EXPECT_EQ(nvml.temperature("0000:65:00.0"), 61);
}

TEST(Nvml, HasNoReadingOfAnUnknownDevice) {
  const Nvml nvml(fake_library());
  EXPECT_EQ(nvml.temperature("0000:66:00.0"), std::nullopt);
}

TEST(Nvml, HasNoReadingWithoutTheLibrary) {
  EXPECT_EQ(Nvml("libnot-there.so.1").temperature("0000:65:00.0"), std::nullopt);
}

TEST(Nvml, HasNoReadingFromALibraryWithoutItsFunctions) {
  EXPECT_EQ(Nvml("libc.so.6").temperature("0000:65:00.0"), std::nullopt);
}

}  // namespace
}  // namespace bitaxon
