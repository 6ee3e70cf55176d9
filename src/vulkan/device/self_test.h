// Tests the fast variants of kernels before they are used: compares their results with those of the
// plain variants.
#pragma once

#include <functional>
#include <string>

#include "core/backend.h"
#include "vulkan/device/failure.h"
#include "vulkan/program/pipeline_cache.h"

namespace bitaxon::vulkan {

/// Computes products of many rows in several forms, experts and attention, with precision "exact" and
/// with precision "fast". Returns a description of the first problem with a fast result, or an empty
/// string if all fast results are right.
std::string fast_product_problem(Backend& backend);

/// Runs kernels that multiply few rows by affine codes of 4 and 8 bits, with both precisions: products
/// beside sums of decoded weights, and the inputs of layers and experts beside the plain kernels.
/// `use_variant(false)` makes the backend use the plain kernels. Returns a description of the first wrong
/// result, or an empty string.
std::string few_rows_problem(Backend& backend, const std::function<void(bool)>& use_variant);

/// What the test finds, or an empty string. The outcome is kept in a note beside the pipeline cache, so
/// that later runs do not test again.
std::string problem_of_variant(const char* variant, const std::function<std::string()>& test,
                               const PipelineCache& notes, const Failure& failure);

}  // namespace bitaxon::vulkan
