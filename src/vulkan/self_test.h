// Fast variants of kernels are tried against the plain ones before they are trusted.
#pragma once

#include <string>

#include "bitaxon/backend.h"

namespace bitaxon::vulkan {

/// Multiplies small matrices of several forms exactly and as precision "fast" would. Returns what
/// is wrong with the fast result; empty: nothing.
std::string fast_product_problem(Backend& backend);

}  // namespace bitaxon::vulkan
