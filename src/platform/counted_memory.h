// Counts the memory that the backends of this process hold: weights, state and activations.
#pragma once

#include <cstdint>

namespace bitaxon {

/// Adds to the count. `change` is negative for memory that was freed. May be called from any
/// thread.
void count_backend_bytes(std::int64_t change) noexcept;
/// The memory that all backends hold now.
std::uint64_t backend_bytes() noexcept;
/// The most memory that all backends held at one time, since the latest reset.
std::uint64_t peak_backend_bytes() noexcept;
/// Lets the peak begin again at the memory that is held now.
void reset_peak_backend_bytes() noexcept;

}  // namespace bitaxon
