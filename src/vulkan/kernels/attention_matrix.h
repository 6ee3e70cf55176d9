// Attention of many rows on matrix units.
#pragma once

#include <optional>

#include "shaders/params/attention.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

/// How the shader attention_matrix divides its work.
struct AttentionBlock {
  std::uint32_t queries = 0;    ///< of a workgroup
  std::uint32_t shared = 1;     ///< heads of queries of a workgroup
  std::uint32_t subgroups = 0;  ///< of a workgroup
  std::uint32_t across = 1;     ///< subgroups that share the same queries
};
/// Empty if the device cannot run the shader for such heads.
std::optional<AttentionBlock> attention_block(const DeviceCaps& caps, const AttentionPush& push,
                                              std::int64_t n_rows);

/// The launch for the node's rows. Empty if the result must be exact, keys are not float16, or the
/// device cannot run the shader for such heads.
std::optional<Launch> attention_matrix_launch(const LaunchContext& context,
                                              const AttentionPush& push);

}  // namespace bitaxon::vulkan
