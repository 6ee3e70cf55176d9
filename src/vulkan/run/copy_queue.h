// Copies between buffers of the device, in the order of the steps.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/backend.h"
#include "core/step.h"
#include "vulkan/memory/transfer.h"

namespace bitaxon::vulkan {

/// Keeps copies until the next step is submitted, and submits them in front of it. Keeps the
/// buffers of a copy alive until the copy is done.
class CopyQueue {
 public:
  explicit CopyQueue(const Device& device) : device_(device) {}

  void add(std::span<const BufferCopy> copies) {
    queued_.insert(queued_.end(), copies.begin(), copies.end());
  }
  /// Makes the queued copies and waits for them. All steps must be done.
  void make_now(Transfer& transfer);
  /// Records the queued copies, and inserts them in front of the commands of step `number`. The
  /// step kMaxInFlight before that one must be done.
  void record(std::uint64_t number, std::vector<VkCommandBuffer>& commands);
  /// Forgets the copies of a step that is done.
  void release(std::uint64_t number) { batch_of(number).copies.clear(); }

 private:
  /// The copies in front of one step.
  struct Batch {
    std::vector<BufferCopy> copies;
    VkCommandBuffer commands = VK_NULL_HANDLE;
  };
  Batch& batch_of(std::uint64_t number) { return batches_[number % kMaxInFlight]; }

  const Device& device_;
  std::vector<BufferCopy> queued_;
  CommandPoolHandle pool_;  ///< made when the first copies are recorded
  std::array<Batch, kMaxInFlight> batches_;
};

}  // namespace bitaxon::vulkan
