// Chooses the variant of products of many rows in precision "fast", where several compete.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/backend.h"
#include "vulkan/device/device_caps.h"
#include "vulkan/program/pipeline_cache.h"

namespace bitaxon::vulkan {

/// A variant, as OpenOptions::tiles names it, and the value of DeviceCaps::matrix_tile for it.
struct TileVariant {
  const char* name;
  std::uint32_t matrix_tile;
};
inline constexpr TileVariant kTileVariants[] = {
    {"matrix-64", 64}, {"matrix-128", 128}, {"float32", 0}};

/// DeviceCaps::matrix_tile for the variant of this name. Throws Error(invalid_argument) if there is
/// none.
std::uint32_t matrix_tile_of(const std::string& name);

/// Checks the name of a variant, which may be empty. Throws Error(invalid_argument) if there is no
/// such variant, and Error(unsupported) if it needs matrix units that the device lacks.
void check_tiles(const std::string& name, const DeviceCaps& caps);

/// Chooses a variant, on a device whose matrix units work, and returns `choice` with it. If `wanted`
/// names a variant, it is taken. Otherwise the variants are measured once for a device, driver and
/// version of the program, and the result is kept in a note beside the pipeline cache: a later run that
/// measures again could choose another one, and its results would have other bits. For the same reason
/// nothing is measured if notes cannot be kept; then the first variant is taken. `use` sets
/// DeviceCaps::matrix_tile of the backend.
VariantChoice choose_tiles(Backend& backend, const std::string& wanted, VariantChoice choice,
                           const PipelineCache& notes,
                           const std::function<void(std::uint32_t matrix_tile)>& use);

}  // namespace bitaxon::vulkan
