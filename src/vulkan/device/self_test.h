// Tests the fast variants of kernels before they are used: compares their results with those of the
// plain variants.
#pragma once

#include <string>

#include "core/backend.h"

namespace bitaxon::vulkan {

/// Multiplies small matrices in several forms, with precision "exact" and with precision "fast".
/// Returns a description of the first problem with a fast result, or an empty string if all fast
/// results are right.
std::string fast_product_problem(Backend& backend);

}  // namespace bitaxon::vulkan
