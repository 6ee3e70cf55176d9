// The driver's compiled pipelines, kept on disk from one run to the next. Whatever is wrong with a
// file (missing, cut, foreign, another driver's) is a miss, never an error; so is a folder that
// cannot be written, and a driver that refuses to keep or to tell.
#pragma once

#include <filesystem>
#include <vector>

#include "vulkan/handle.h"

namespace bitaxon::vulkan {

/// One file for each device, driver and set of shaders: "vulkan-10de-2335-<hash>.pipelines".
class PipelineCache {
 public:
  /// `folder` empty: nothing is kept.
  PipelineCache(const Device& device, std::filesystem::path folder);
  ~PipelineCache();
  PipelineCache(const PipelineCache&) = delete;
  PipelineCache& operator=(const PipelineCache&) = delete;

  /// A note beside the cache, for what has been found out about this device, driver and set of
  /// shaders; empty: none has been kept.
  std::string read_note(const std::string& name) const;
  void write_note(const std::string& name, const std::string& text) const noexcept;

  /// VK_NULL_HANDLE when the driver keeps nothing.
  VkPipelineCache handle() const { return cache_.get(); }
  /// Pipelines have been added: the file is written again by save().
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

/// The payload of a cache file when it is whole and was written for this device and driver; empty
/// otherwise. Pure.
std::vector<std::byte> valid_cache(std::span<const std::byte> file, const DeviceCaps& caps);
/// A file for `payload`: magic, size and checksum in front of it.
std::vector<std::byte> cache_file(std::span<const std::byte> payload);

}  // namespace bitaxon::vulkan
