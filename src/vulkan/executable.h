// A plan bound to memory: all its launches, and the recordings of them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/backend.h"
#include "core/plan.h"
#include "vulkan/recording.h"

namespace bitaxon::vulkan {

/// The Vulkan executable. Holds what its recordings name.
struct VulkanExecutable {
  std::shared_ptr<const Plan> plan;
  Bindings bindings;
  std::vector<BoundLaunch> launches;
  std::string label;  ///< "layer_0 ssm_in: ssm_in_vec .. sample: sample_pick (43 dispatches)"
  std::optional<BoundRange> result;
  RecordOptions options;
  std::vector<std::unique_ptr<Recording>> recordings;

  /// A recording whose step is done (tickets up to `done`); a new one when all are in flight.
  Recording& recording_for(std::uint64_t done, const Device& device, MemoryAllocator& memory);
};

/// Asks every node's kernel for its launches and resolves what they bind. Throws
/// Error(unsupported) when a kernel cannot run on this device or a binding or a grid is beyond its
/// limits: with the op, the label, the value and the limit. Throws Error(device) as
/// PipelineLibrary.
void bind_launches(VulkanExecutable& executable, const DeviceCaps& caps,
                   PipelineLibrary& pipelines);

}  // namespace bitaxon::vulkan
