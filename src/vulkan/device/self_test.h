// Compares fast variants of kernels with the plain ones before they are used.
#pragma once

#include <string>

#include "core/backend.h"

namespace bitaxon::vulkan {

/// Multiplies small matrices in several forms, exactly and with precision "fast". Returns what is
/// wrong with the fast result; empty: nothing.
std::string fast_product_problem(Backend& backend);

}  // namespace bitaxon::vulkan
