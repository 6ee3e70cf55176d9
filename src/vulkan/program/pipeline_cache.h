// The compiled pipelines of the driver, kept on disk between runs. A problem with the cache is
// never an error. A file that is truncated, foreign or from another driver counts as missing. A
// folder that cannot be written and a driver without a usable cache are ignored.
#pragma once

#include <filesystem>
#include <vector>

#include "vulkan/device/handle.h"

namespace bitaxon::vulkan {

/// One file per device, driver and set of shaders: "vulkan-10de-2335-<hash>.pipelines".
class PipelineCache {
 public:
  /// With an empty `folder`, nothing is kept.
  PipelineCache(const Device& device, std::filesystem::path folder);
  ~PipelineCache();
  PipelineCache(const PipelineCache&) = delete;
  PipelineCache& operator=(const PipelineCache&) = delete;

  /// Reads a note next to the cache file, for test results of this device, driver and set of
  /// shaders. Empty if no note exists.
  std::string read_note(const std::string& name) const;
  void write_note(const std::string& name, const std::string& text) const noexcept;

  /// VK_NULL_HANDLE when the driver cannot create a cache.
  VkPipelineCache handle() const { return cache_.get(); }
  /// Notes that pipelines have been added, so that save() writes the file again.
  void mark_changed() { changed_ = true; }
  void save() noexcept;

 private:
  std::filesystem::path note_file(const std::string& name) const;

  bool create(std::span<const std::byte> kept);

  const Device& device_;
  std::filesystem::path file_;
  PipelineCacheHandle cache_;
  bool changed_ = false;
};

/// The payload of a cache file that is complete and was written for this device and driver;
/// otherwise empty. Pure.
std::vector<std::byte> valid_cache(std::span<const std::byte> file, const DeviceCaps& caps);
/// The cache file for `payload`: magic, size and checksum come first.
std::vector<std::byte> cache_file(std::span<const std::byte> payload);

}  // namespace bitaxon::vulkan
