// Compares fast variants of kernels with plain variants before the fast variants are used.
#pragma once

#include <string>

#include "core/backend.h"

namespace bitaxon::vulkan {

/// Multiplies small matrices in several forms, exactly and with precision "fast". Returns the
/// problem of the fast result, or an empty string if there is none.
std::string fast_product_problem(Backend& backend);

}  // namespace bitaxon::vulkan
