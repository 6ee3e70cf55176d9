// Command buffers recorded once and submitted for many steps.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ops/op.h"
#include "vulkan/hazard_tracker.h"
#include "vulkan/memory.h"
#include "vulkan/pipeline.h"

namespace bitaxon::vulkan {

/// A binding resolved to memory. `buffer` null: the recording's own step buffer.
struct BoundRange {
  VkBuffer buffer = VK_NULL_HANDLE;
  std::size_t offset_bytes = 0;
  std::size_t size_bytes = 0;
  Access access = Access::read;
};

/// A launch with its pipeline and its memory.
struct BoundLaunch {
  Launch launch;
  const Pipeline* pipeline = nullptr;
  std::vector<BoundRange> ranges;
  std::optional<BoundRange> indirect;
  std::string label;      ///< "layer_3 ssm_in: ssm_in_vec"
  Cost cost;              ///< of its node, counted at the node's first launch
  std::int32_t node = 0;  ///< place in Plan::order
  bool varies() const;    ///< its grid depends on the step's rows or segments
};

struct RecordOptions {
  /// Floating-point operations after which a submission ends, so that none lasts so long that the
  /// system takes the device for hung.
  std::int64_t max_flops = 0;
  bool timestamps = false;
  /// Leaves out the barrier of this number, counted from 0, the one at the beginning; -1: none.
  /// For the test that shows each to be needed.
  int without_barrier = -1;
};

/// One copy of an executable's commands, with the step buffer that they read and the tokens that
/// they write. Submitted at most once at a time.
class Recording {
 public:
  Recording(const Device& device, MemoryAllocator& memory, const std::vector<BoundLaunch>& launches,
            const std::optional<BoundRange>& result, const RecordOptions& options);

  /// What the next submission reads: the step and the grids that depend on it.
  void write_step(const StepBuffer& step, const std::vector<BoundLaunch>& launches);
  const std::vector<VkCommandBuffer>& commands() const { return commands_; }
  /// One per segment, after the submission is done.
  const std::int32_t* tokens() const {
    return reinterpret_cast<const std::int32_t*>(tokens_->mapped());
  }
  int barrier_count() const { return n_barriers_; }
  std::size_t step_bytes() const { return step_bytes_; }
  /// Nanoseconds of each launch; the submission must be done. Empty without timestamps.
  std::vector<double> launch_times_ns() const;

  std::uint64_t ticket = 0;  ///< of the step it was submitted for last

 private:
  void allocate_sets(const std::vector<BoundLaunch>& launches);
  void record(const std::vector<BoundLaunch>& launches, const std::optional<BoundRange>& result,
              const RecordOptions& options);
  void record_launch(VkCommandBuffer commands, const BoundLaunch& launch, std::size_t index);
  void barrier(VkCommandBuffer commands, const RecordOptions& options);
  VkCommandBuffer begin_commands();
  void end_commands(VkCommandBuffer commands);

  const Device& device_;
  std::shared_ptr<DeviceBuffer> step_;  ///< the StepBuffer, then three words for each varying grid
  std::shared_ptr<DeviceBuffer> tokens_;
  DescriptorPoolHandle descriptors_;
  std::vector<VkDescriptorSet> sets_;
  std::vector<std::size_t> grid_offsets_;  ///< in step_, by launch
  QueryPoolHandle queries_;
  CommandPoolHandle pool_;
  std::vector<VkCommandBuffer> commands_;
  int n_barriers_ = 0;
  std::size_t step_bytes_ = 0;
};

/// The work groups of a launch for a step.
std::array<std::uint32_t, 3> groups_of(const Launch& launch, std::uint32_t n_rows,
                                       std::uint32_t n_segments);

}  // namespace bitaxon::vulkan
