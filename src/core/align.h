// Rounding sizes and offsets up.
#pragma once

#include <cstddef>

namespace bitaxon {

/// The smallest multiple of `alignment` that is at least `bytes`.
constexpr std::size_t align_up(std::size_t bytes, std::size_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace bitaxon
