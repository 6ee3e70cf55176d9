// Tests of the cache file of compiled pipelines. llvmpipe writes only a header into this file. The
// header is enough to tell a cache hit from a cache miss.
#include "vulkan/program/pipeline_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "support/temporary_folder.h"
#include "vulkan/device/result.h"
#include "vulkan_tests/test_gpu.h"

namespace bitaxon::test {
namespace {

using vulkan::DeviceCaps;
using vulkan::PipelineCache;

DeviceCaps some_caps() {
  DeviceCaps caps;
  caps.vendor_id = 0x10de;
  caps.device_id = 0x2335;
  caps.cache_uuid.fill(7);
  return caps;
}

/// The data that a driver would write for a device with these capabilities.
std::vector<std::byte> driver_payload(const DeviceCaps& caps) {
  VkPipelineCacheHeaderVersionOne header{};
  header.headerSize = sizeof(header);
  header.headerVersion = VK_PIPELINE_CACHE_HEADER_VERSION_ONE;
  header.vendorID = caps.vendor_id;
  header.deviceID = caps.device_id;
  std::memcpy(header.pipelineCacheUUID, caps.cache_uuid.data(), VK_UUID_SIZE);
  std::vector<std::byte> payload(sizeof(header) + 1000, std::byte{0x5a});
  std::memcpy(payload.data(), &header, sizeof(header));
  return payload;
}

TEST(PipelineCacheFile, ReturnsTheWrittenPayload) {
  const auto payload = driver_payload(some_caps());
  EXPECT_EQ(vulkan::valid_cache(vulkan::cache_file(payload), some_caps()), payload);
}

TEST(PipelineCacheFile, ATruncatedFileIsAMiss) {
  const auto file = vulkan::cache_file(driver_payload(some_caps()));
  for (std::size_t n = 0; n < file.size(); ++n)
    EXPECT_TRUE(vulkan::valid_cache(std::span(file).first(n), some_caps()).empty()) << n;
  auto longer = file;
  longer.push_back(std::byte{0});
  EXPECT_TRUE(vulkan::valid_cache(longer, some_caps()).empty());
}

TEST(PipelineCacheFile, AFlippedBitAnywhereIsAMiss) {
  auto file = vulkan::cache_file(driver_payload(some_caps()));
  for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
    const auto mask = static_cast<std::byte>(1U << bit % 8);
    file[bit / 8] ^= mask;
    EXPECT_TRUE(vulkan::valid_cache(file, some_caps()).empty()) << bit;
    file[bit / 8] ^= mask;
  }
}

TEST(PipelineCacheFile, AFileOfAnotherDeviceIsAMiss) {
  const auto file = vulkan::cache_file(driver_payload(some_caps()));
  DeviceCaps vendor = some_caps(), device = some_caps(), driver = some_caps();
  vendor.vendor_id = 0x1002;
  device.device_id = 0x2336;
  driver.cache_uuid[15] ^= 1;
  for (const DeviceCaps& other : {vendor, device, driver})
    EXPECT_TRUE(vulkan::valid_cache(file, other).empty());
  // Even in a complete file, a header of an unknown version and a truncated header are cache
  // misses.
  auto payload = driver_payload(some_caps());
  payload[4] = std::byte{2};
  EXPECT_TRUE(vulkan::valid_cache(vulkan::cache_file(payload), some_caps()).empty());
  payload.resize(16);
  EXPECT_TRUE(vulkan::valid_cache(vulkan::cache_file(payload), some_caps()).empty());
}

class PipelineCacheOnDisk : public testing::Test {
 protected:
  /// Opens a cache in `folder`, marks it as changed, and closes it.
  void write_to(const std::filesystem::path& folder) const {
    PipelineCache cache(gpu_.device(), folder);
    EXPECT_NE(cache.handle(), VkPipelineCache{});
    cache.mark_changed();
  }
  static std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      files.push_back(entry.path());
    return files;
  }
  static std::string text_of(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  /// What the driver gives for a cache without pipelines.
  std::vector<std::byte> data_of_driver() const {
    const vulkan::Functions& fn = gpu_.device().fn();
    const PipelineCache cache(gpu_.device(), {});
    std::size_t size = 0;
    vulkan::check(fn.vkGetPipelineCacheData(gpu_.device().handle(), cache.handle(), &size, nullptr),
                  "vkGetPipelineCacheData", "cache");
    std::vector<std::byte> data(size);
    vulkan::check(
        fn.vkGetPipelineCacheData(gpu_.device().handle(), cache.handle(), &size, data.data()),
        "vkGetPipelineCacheData", "cache");
    data.resize(size);
    return data;
  }
  TestGpu gpu_;
  TemporaryFolder folder_;
};

TEST_F(PipelineCacheOnDisk, WritesAFileThatIsValidForItsDevice) {
  write_to(folder_ / "new/folder");
  const auto files = files_in(folder_ / "new/folder");
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files[0].filename().string().rfind("vulkan-", 0), 0U);
  EXPECT_EQ(files[0].extension(), ".pipelines");
  const std::string text = text_of(files[0]);
  std::vector<std::byte> valid = data_of_driver();
  // The data of Mesa 26 for CPUs are shorter than the header that Vulkan demands.
  if (valid.size() < sizeof(VkPipelineCacheHeaderVersionOne)) valid.clear();
  EXPECT_EQ(vulkan::valid_cache(std::as_bytes(std::span(text)), gpu_.device().caps()), valid);
}

TEST_F(PipelineCacheOnDisk, WritesNothingWithoutChanges) {
  { const PipelineCache unchanged(gpu_.device(), folder_.path()); }
  EXPECT_TRUE(files_in(folder_.path()).empty());
}

TEST_F(PipelineCacheOnDisk, DamagedFilesAreReplaced) {
  write_to(folder_.path());
  const auto file = files_in(folder_.path()).at(0);
  const std::string whole = text_of(file);
  for (const std::string& damaged :
       {std::string(), whole.substr(0, whole.size() / 2), std::string(100, 'x')}) {
    std::ofstream(file, std::ios::binary) << damaged;
    write_to(folder_.path());
    EXPECT_EQ(text_of(file), whole);
  }
}

TEST_F(PipelineCacheOnDisk, IgnoresFoldersThatCannotBeWritten) {
  write_to({});  // there is no folder for the cache
  write_to("/proc/no_such_folder");
  write_to(folder_.write("a_file", "text") / "below");
  EXPECT_EQ(files_in(folder_.path()).size(), 1U) << "only the text file exists";
}

TEST_F(PipelineCacheOnDisk, IgnoresAFolderInPlaceOfTheFile) {
  write_to(folder_.path());
  const auto file = files_in(folder_.path()).at(0);
  std::filesystem::remove(file);
  std::filesystem::create_directories(file / "inside");
  write_to(folder_.path());
  EXPECT_TRUE(std::filesystem::is_directory(file));
}

}  // namespace
}  // namespace bitaxon::test
