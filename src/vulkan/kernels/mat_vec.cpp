#include "vulkan/kernels/mat_vec.h"

#include <algorithm>

#include "vulkan/kernels/form.h"

namespace bitaxon::vulkan {
namespace {

/// Whether lib/mat_vec_dots.glsl can multiply by weights of this form: by affine codes whose groups
/// are whole blocks.
bool suits_dots(std::uint32_t form) {
  const std::uint32_t block = format_of(form) == BX_Q4 ? 32 : 16;
  return (format_of(form) == BX_Q4 || format_of(form) == BX_Q8) && is_aligned(form) &&
         group_of(form) % block == 0;
}

/// With more rows, the columns in shared memory would not fill a turn of a subgroup of 32.
constexpr std::uint32_t kMostDotRows = 4;
/// 15 KiB for x, and the most that one of the kernels needs for itself.
constexpr std::uint32_t kDotSharedBytes = 32768;

}  // namespace

std::uint32_t codes_of_products(const DeviceCaps& caps, Precision precision) {
  if (caps.type == DeviceType::cpu) return BX_CODES_IN_LANES;
  if (!caps.mixed_products) return BX_CODES_AS_BYTES;
  return precision == Precision::fast ? BX_CODES_AS_LARGE_HALVES : BX_CODES_AS_HALVES;
}

CodesChoice codes_of_launch(const DeviceCaps& caps, Precision precision,
                            std::initializer_list<std::uint32_t> forms, std::uint32_t n_rows) {
  std::uint32_t format = BX_FORM_ABSENT;
  bool suits =
      caps.fast_integer_dots && n_rows <= kMostDotRows && caps.max_shared_bytes >= kDotSharedBytes;
  for (const std::uint32_t form : forms) {
    if (form == BX_FORM_ABSENT) continue;
    if (format == BX_FORM_ABSENT) format = format_of(form);
    // The integers of x are arranged for one format.
    suits = suits && suits_dots(form) && format_of(form) == format;
  }
  if (!suits) return {codes_of_products(caps, precision), false, group_size(caps)};
  // A workgroup makes the integers of x once, so larger ones make them less often. With several rows,
  // some kernels keep many results in shared memory.
  const std::uint32_t wanted = n_rows == 1 ? 512 : 256;
  CodesChoice choice{BX_CODES_AS_THREE_LIMBS, true,
                     group_size(caps, std::min(wanted, caps.max_group_invocations))};
  if (precision == Precision::fast) choice.codes = BX_CODES_AS_TWO_LIMBS;
  return choice;
}

}  // namespace bitaxon::vulkan
