// What every writer of models does: floats become bytes piece by piece, and a lack of memory or disk
// is found before the work.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "bitaxon/memory.h"
#include "formats/quantize.h"
#include "formats/weight_format.h"

namespace bitaxon {

/// Sets `bytes` to the stored form of `values`, which begin at element `first`. Throws
/// Error(format) for a number that the type cannot hold.
void encode_floats(const WeightDesc& desc, std::int64_t first, std::span<const float> values,
                   std::vector<std::byte>& bytes);

/// Calls visit(first, floats) for each piece of a weight. A piece is a number of whole rows.
template <class Visit>
void for_each_piece(const WeightDesc& desc, const ReadElements& read, const Visit& visit) {
  std::vector<float> piece(static_cast<std::size_t>(rows_of_piece(desc) * desc.cols));
  for (std::int64_t first = 0; first < desc.elements(); first += std::ssize(piece)) {
    piece.resize(std::min(piece.size(), static_cast<std::size_t>(desc.elements() - first)));
    read(first, piece);
    visit(first, std::span<const float>(piece));
  }
}

/// Throws OutOfMemory if the largest weight needs more than there is.
void refuse_too_little_memory(MemoryNeed need);
/// Throws Error(io) if the disk of `folder` has less room.
void refuse_a_full_disk(const std::filesystem::path& folder, std::uint64_t needed_bytes);

}  // namespace bitaxon
