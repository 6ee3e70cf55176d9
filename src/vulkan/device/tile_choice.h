// Chooses the variant of products of many rows in precision "fast", where several compete.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/backend.h"
#include "vulkan/device/device_caps.h"
#include "vulkan/program/pipeline_cache.h"

namespace bitaxon::vulkan {

/// A variant, as OpenOptions::tiles names it, and the values of DeviceCaps::matrix_tile and
/// DeviceCaps::float16_tiles for it.
struct TileVariant {
  const char* name;
  std::uint32_t matrix_tile;
  bool float16_tiles;
};
inline constexpr TileVariant kTileVariants[] = {{"matrix-64", 64, false},
                                                {"matrix-128", 128, false},
                                                {"float16", 0, true},
                                                {"float32", 0, false}};

/// The variant of this name. Throws Error(invalid_argument) if no variant has it.
const TileVariant& tile_variant(const std::string& name);

/// The variants that a device can run, if its matrix units and its halves work.
std::vector<TileVariant> tile_variants(const DeviceCaps& caps);

/// Checks the name of a variant, which may be empty. Throws Error(invalid_argument) if there is no
/// such variant, and Error(unsupported) if it needs what the device lacks.
void check_tiles(const std::string& name, const DeviceCaps& caps);

/// Chooses one of `variants`, those whose self-tests agree, and returns `choice` with it. If `wanted`
/// names one of them, it is taken; if it names another one, throws Error(unsupported) with the reason of
/// `choice`. Otherwise the variants are measured once for a device, driver and version of the program,
/// and the result is kept in a note beside the pipeline cache: a later run that measures again could
/// choose another one, and its results would have other bits. For the same reason nothing is measured if
/// notes cannot be kept; then the first variant is taken. A variant whose measurement ended two earlier
/// runs is left out. `use` makes the backend use a variant.
VariantChoice choose_tiles(Backend& backend, const std::string& wanted,
                           const std::vector<TileVariant>& variants, VariantChoice choice,
                           const PipelineCache& notes,
                           const std::function<void(const TileVariant&)>& use);

}  // namespace bitaxon::vulkan
