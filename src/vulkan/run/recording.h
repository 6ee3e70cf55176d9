// Command buffers that are recorded once and submitted for many steps.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ops/op.h"
#include "vulkan/memory/memory.h"
#include "vulkan/program/pipeline.h"
#include "vulkan/run/hazard_tracker.h"

namespace bitaxon::vulkan {

/// A binding resolved to memory. A null `buffer` means the recording's own step buffer.
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
  Cost cost;              ///< the cost of the node, at its first launch only
  std::int32_t node = 0;  ///< index in Plan::order
  bool varies() const;    ///< whether the grid depends on the sizes of the step
};

struct RecordOptions {
  /// Floating-point operations after which a submission ends. This keeps submissions short enough
  /// that the system does not consider the device hung.
  std::int64_t max_flops = 0;
  bool timestamps = false;
  /// The number of a barrier to leave out, where 0 is the barrier at the beginning; -1 to keep all.
  /// For the test that shows that each barrier is needed.
  int without_barrier = -1;
};

/// One copy of an executable's commands, with the step buffer that they read and the tokens that
/// they write. At most one submission of a recording is in flight.
class Recording {
 public:
  Recording(const Device& device, MemoryAllocator& memory, const std::vector<BoundLaunch>& launches,
            const std::optional<BoundRange>& result, const RecordOptions& options);

  /// Writes the input of the next submission: the step and the grids that depend on it.
  void write_step(const StepBuffer& step, const std::vector<BoundLaunch>& launches);
  const std::vector<VkCommandBuffer>& commands() const { return commands_; }
  /// One token per segment, valid when the submission is done.
  const std::int32_t* tokens() const {
    return reinterpret_cast<const std::int32_t*>(tokens_->mapped());
  }
  int barrier_count() const { return n_barriers_; }
  std::size_t step_bytes() const { return step_bytes_; }
  /// Nanoseconds of each launch; the submission must be done. Empty without timestamps.
  std::vector<double> launch_times_ns() const;

  std::uint64_t ticket = 0;  ///< the ticket of the last step that used this recording

 private:
  void allocate_sets(const std::vector<BoundLaunch>& launches);
  void record(const std::vector<BoundLaunch>& launches, const std::optional<BoundRange>& result,
              const RecordOptions& options);
  void record_launch(VkCommandBuffer commands, const BoundLaunch& launch, std::size_t index);
  void barrier(VkCommandBuffer commands, const RecordOptions& options);
  VkCommandBuffer begin_commands();
  void end_commands(VkCommandBuffer commands);

  const Device& device_;
  std::shared_ptr<DeviceBuffer> step_;  ///< the StepBuffer, then three words per varying grid
  std::shared_ptr<DeviceBuffer> tokens_;
  DescriptorPoolHandle descriptors_;
  std::vector<VkDescriptorSet> sets_;
  std::vector<std::size_t> grid_offsets_;  ///< offsets in step_, by launch
  QueryPoolHandle queries_;
  CommandPoolHandle pool_;
  std::vector<VkCommandBuffer> commands_;
  int n_barriers_ = 0;
  std::size_t step_bytes_ = 0;
};

/// The number of workgroups of a launch for a step.
std::array<std::uint32_t, 3> groups_of(const Launch& launch, const StepSizes& sizes);

}  // namespace bitaxon::vulkan
