// Records command buffers once, so that they can be submitted for many steps.
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

/// The range of a buffer that a binding refers to. If `buffer` is null, the range is in the step
/// buffer of the recording.
struct BoundRange {
  VkBuffer buffer = VK_NULL_HANDLE;
  std::size_t offset_bytes = 0;
  std::size_t size_bytes = 0;
  Access access = Access::read;
  std::size_t skipped_bytes = 0;  ///< as in Binding
};

/// A launch with its pipeline and with the memory of its bindings.
struct BoundLaunch {
  Launch launch;
  const Pipeline* pipeline = nullptr;
  std::vector<BoundRange> ranges;
  std::optional<BoundRange> indirect;
  std::string label;      ///< such as "layer_3 ssm_in: ssm_in_vec"
  Cost cost;              ///< the cost of the whole node; only set in its first launch
  std::int32_t node = 0;  ///< the index of the node in Plan::order
  bool varies() const;    ///< whether the grid depends on the sizes of the step
};

struct RecordOptions {
  /// The number of floating-point operations after which a submission ends. This keeps submissions
  /// short, so that the operating system does not take the device for hung.
  std::int64_t max_flops = 0;
  bool timestamps = false;
};

/// One copy of the commands of an executable. It has its own step buffer, which the commands read,
/// and its own token buffer, which they write. At most one submission of a recording may be in
/// flight.
class Recording {
 public:
  Recording(const Device& device, MemoryAllocator& memory, const std::vector<BoundLaunch>& launches,
            const std::optional<BoundRange>& result, std::size_t table_words,
            const RecordOptions& options);

  /// Writes the input of the next submission: the step, and the grids that depend on the step.
  void write_step(const StepBuffer& step, const std::vector<BoundLaunch>& launches);
  const std::vector<VkCommandBuffer>& commands() const { return commands_; }
  /// The tokens, one per segment. They are valid once the submission is done.
  const std::int32_t* tokens() const {
    return reinterpret_cast<const std::int32_t*>(tokens_->mapped());
  }
  std::size_t step_bytes() const { return step_bytes_; }
  /// The time of each launch in nanoseconds. The submission must be done. Empty if the recording
  /// has no timestamps.
  std::vector<double> launch_times_ns() const;

  std::uint64_t ticket = 0;  ///< the ticket of the latest step that used this recording

 private:
  void allocate_sets(const std::vector<BoundLaunch>& launches);
  void record(const std::vector<BoundLaunch>& launches, const std::optional<BoundRange>& result,
              const RecordOptions& options);
  void record_launch(VkCommandBuffer commands, const BoundLaunch& launch, std::size_t index);
  void barrier(VkCommandBuffer commands);
  VkCommandBuffer begin_commands();
  void end_commands(VkCommandBuffer commands);

  const Device& device_;
  std::size_t table_words_;  ///< the most words of page tables
  /// A StepHeader, then the page tables, then three words per varying grid.
  std::shared_ptr<DeviceBuffer> step_;
  std::shared_ptr<DeviceBuffer> tokens_;
  DescriptorPoolHandle descriptors_;
  std::vector<VkDescriptorSet> sets_;
  std::vector<std::size_t> grid_offsets_;  ///< for each launch, the offset of its grid in step_
  QueryPoolHandle queries_;
  CommandPoolHandle pool_;
  std::vector<VkCommandBuffer> commands_;
  std::size_t step_bytes_ = 0;
};

/// The grid of a launch for a step of these sizes: the number of workgroups along each axis.
std::array<std::uint32_t, 3> groups_of(const Launch& launch, const StepSizes& sizes);

}  // namespace bitaxon::vulkan
