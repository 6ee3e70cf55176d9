// Packs weights in the form that shaders read (shaders/lib/weight.glsl). The parts of a weight
// follow each other in one buffer, which shaders reach by its address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "core/backend.h"
#include "formats/weight_format.h"
#include "shaders/params/types.h"
#include "vulkan/memory/memory.h"

namespace bitaxon::vulkan {

/// The largest number of elements of a weight. Shaders index elements with 32 bits.
inline constexpr std::int64_t kMaxWeightElements = UINT32_MAX;

/// A part of a packed weight: codes or elements, scales, or tables.
struct PackedPart {
  std::size_t offset_bytes = 0;  ///< a multiple of 16
  std::size_t size_bytes = 0;
};

/// The layout of a packed weight. Vectors (one matrix of one row) become float32. All other weights
/// keep their bytes, with two exceptions. The two codes in each byte of an nf4 or fp4 weight are
/// swapped, so that the first code is in the low half. The scale of an affine group is followed by
/// its bias, so that a shader reads both at once; both contain the factor of the weight.
struct PackedLayout {
  std::uint32_t form = 0;  ///< see shaders/params/types.h
  PackedPart data, scales, tables;
  std::size_t size_bytes = 0;
};
PackedLayout packed_layout(const WeightDesc& desc);

/// Writes bytes [offset, offset + to.size()) of the packed weight. `offset` is a multiple of 16.
void write_packed(const WeightDesc& desc, const WeightParts& parts, const PackedLayout& layout,
                  std::size_t offset, std::span<std::byte> to);

/// The packed weight to which Weight::packed points.
struct PackedWeight {
  WeightDesc desc;
  std::uint32_t form = 0;
  WeightAddress address;
  std::shared_ptr<DeviceBuffer> memory;
};

/// Makes a weight whose packed bytes are in `memory`. If `memory` is null, the weight has a
/// description but no data.
std::shared_ptr<const Weight> make_weight(const WeightDesc& desc,
                                          std::shared_ptr<DeviceBuffer> memory);

}  // namespace bitaxon::vulkan
