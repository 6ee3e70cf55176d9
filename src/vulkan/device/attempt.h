// Tests and measurements of variants. A driver may crash in them, and another process may make them at
// the same time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "platform/file_lock.h"
#include "vulkan/program/pipeline_cache.h"

namespace bitaxon::vulkan {

/// One run of a test or of a measurement. A note beside the pipeline cache counts the runs that did not
/// come back. After two of them there are no more attempts. A single one may have been ended by the user.
class Attempt {
 public:
  /// Begins an attempt, such as the "self-test" of "matrix-64", unless it is refused.
  Attempt(const PipelineCache& notes, std::string_view what, std::string_view variant);
  /// Why there is no attempt. Empty if it has begun.
  const std::string& refusal() const { return refusal_; }
  /// Call this when the attempt has come back, also with an error.
  void end() const noexcept;
  /// Call this when the device is lost: there are no more attempts.
  void give_up() const noexcept;

 private:
  const PipelineCache& notes_;
  std::string note_, refusal_;
};

/// Waits until no other process makes attempts with this device. Returns the right to make them, which
/// lasts as long as the object. Without a cache folder, or after a minute, returns no lock.
std::optional<FileLock> wait_for_turn(const PipelineCache& notes);

}  // namespace bitaxon::vulkan
