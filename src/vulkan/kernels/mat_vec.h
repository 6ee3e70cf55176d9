// The choice that all kernels of shaders/lib/mat_vec.glsl share.
#pragma once

#include "shaders/params/mat_vec.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

/// How the products make floats of codes of 4 bits. On AMD's RDNA 2, the main loop of one
/// row takes 2.8 vector instructions per weight as bytes, 2.6 as halves and 2.2 as large halves.
/// Without mixed products, halves take 3.8 and more. Large halves are less accurate by a factor of
/// 100, which is a tenth of what fast precision allows.
inline std::uint32_t codes_of_products(const DeviceCaps& caps, Precision precision) {
  if (caps.type == DeviceType::cpu) return BX_CODES_IN_LANES;
  if (!caps.mixed_products) return BX_CODES_AS_BYTES;
  return precision == Precision::fast ? BX_CODES_AS_LARGE_HALVES : BX_CODES_AS_HALVES;
}

}  // namespace bitaxon::vulkan
