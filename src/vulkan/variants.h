// Chooses variants of kernels when a device is opened.
#pragma once

#include <string>
#include <vector>

#include "core/backend.h"
#include "vulkan/device/device.h"
#include "vulkan/device/failure.h"
#include "vulkan/program/pipeline_cache.h"

namespace bitaxon::vulkan {

/// Tries the fast variants of kernels on the device of `backend`, and makes the device forget those
/// whose results are wrong. `tiles` is OpenOptions::tiles. What was found is kept in notes beside the
/// pipeline cache. Returns what was chosen and why.
std::vector<VariantChoice> choose_variants(Backend& backend, Device& device,
                                           const std::string& tiles, const PipelineCache& notes,
                                           const Failure& failure);

}  // namespace bitaxon::vulkan
