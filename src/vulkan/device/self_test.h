// Tests the fast variants of kernels before they are used: compares their results with those of the
// plain variants.
#pragma once

#include <string>

#include "core/backend.h"
#include "vulkan/device/failure.h"
#include "vulkan/program/pipeline_cache.h"

namespace bitaxon::vulkan {

/// Computes products of many rows in several forms, experts and attention, with precision "exact" and
/// with precision "fast". Returns a description of the first problem with a fast result, or an empty
/// string if all fast results are right.
std::string fast_product_problem(Backend& backend);

/// Multiplies small matrices of affine codes of 4 and 8 bits by few rows, with both precisions. Returns
/// a description of the first wrong result, or an empty string.
std::string few_rows_problem(Backend& backend);

/// What the test finds, or an empty string. The outcome is kept in a note beside the pipeline cache, so
/// that later runs do not test again.
std::string problem_of_variant(Backend& backend, const char* variant, std::string (*test)(Backend&),
                               const PipelineCache& notes, const Failure& failure);

}  // namespace bitaxon::vulkan
