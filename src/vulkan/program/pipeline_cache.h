// Keeps the pipelines that the driver has compiled on disk, for later runs. A problem with the
// cache is never an error. If a file is truncated, has another format or is from another driver, it
// counts as missing. If the folder cannot be written, or the driver has no usable cache, nothing is
// kept.
#pragma once

#include <filesystem>
#include <vector>

#include "vulkan/device/handle.h"

namespace bitaxon::vulkan {

/// The pipeline cache of one device, driver and set of shaders. It has a file of its own, with a
/// name such as "vulkan-10de-2335-<hash>.pipelines".
class PipelineCache {
 public:
  /// Reads the cache file in `folder`. If `folder` is empty, nothing is read or kept.
  PipelineCache(const Device& device, std::filesystem::path folder);
  ~PipelineCache();
  PipelineCache(const PipelineCache&) = delete;
  PipelineCache& operator=(const PipelineCache&) = delete;

  /// Reads a note, a text file next to the cache file. Notes hold test results for this device, driver
  /// and version of the program. Empty if there is no such note.
  std::string read_note(const std::string& name) const;
  void write_note(const std::string& name, const std::string& text) const noexcept;
  /// The path of a note. Empty if nothing is kept.
  std::filesystem::path note_file(const std::string& name) const;

  /// The VkPipelineCache; VK_NULL_HANDLE if the driver cannot create one.
  VkPipelineCache handle() const { return cache_.get(); }
  /// Call this after pipelines have been added, so that save() writes the file again.
  void mark_changed() { changed_ = true; }
  void save() noexcept;

 private:
  bool create(std::span<const std::byte> kept);

  const Device& device_;
  std::filesystem::path file_, notes_;
  PipelineCacheHandle cache_;
  bool changed_ = false;
};

/// The payload of a cache file, if the file is complete and was written for this device and driver.
/// Otherwise empty.
std::vector<std::byte> valid_cache(std::span<const std::byte> file, const DeviceCaps& caps);
/// The bytes of a cache file: magic, size and checksum, followed by `payload`.
std::vector<std::byte> cache_file(std::span<const std::byte> payload);

}  // namespace bitaxon::vulkan
