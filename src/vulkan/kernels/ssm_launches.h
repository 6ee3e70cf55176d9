// The launches that follow the product of in_proj: the convolution and its new tail. ssm_in and
// ssm_conv share them.
#pragma once

#include <cstdint>

#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

/// The arguments of both launches. `conv_weight`, `conv_bias` and `tail` are operands of the node.
struct SsmConvArgs {
  Binding v;          ///< [R, v_width]; its first d_inner columns are read
  Binding read_tail;  ///< read by the convolution; any block of memory without a tail
  Binding u;          ///< [R, d_inner], written
  std::int64_t v_width = 0, d_inner = 0, d_conv = 0;
  int conv_weight = 0, conv_bias = 0, tail = 0;
};

/// u = silu(conv_bias + the convolution of v)
Launch ssm_conv_launch(const LaunchContext& context, const SsmConvArgs& args);
/// Writes the last d_conv - 1 rows of v to the tail. Only for d_conv > 1.
Launch ssm_tail_launch(const LaunchContext& context, const SsmConvArgs& args);

}  // namespace bitaxon::vulkan
