// The fields of the form of a weight, as shaders/lib/weight.glsl has them.
#pragma once

#include <cstdint>

#include "shaders/params/types.h"

namespace bitaxon::vulkan {

/// BX_F32, BX_F16, BX_BF16 for floats; BX_Q4 and larger for codes.
constexpr std::uint32_t format_of(std::uint32_t form) { return form & 7U; }
constexpr bool is_aligned(std::uint32_t form) { return (form & 256U) != 0; }
constexpr std::uint32_t group_of(std::uint32_t form) { return form >> 9; }
constexpr bool has_codes(std::uint32_t form) {
  return form != BX_FORM_ABSENT && format_of(form) >= BX_Q4;
}

}  // namespace bitaxon::vulkan
