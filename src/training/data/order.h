// The order in which examples are used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bitaxon {

/// The numbers below `n`, at most 2^32 - 1, in an order that depends on the seed and the epoch only.
std::vector<std::uint32_t> shuffled_order(std::size_t n, std::uint64_t seed, std::uint64_t epoch);

/// An epoch that no run reaches. Its order selects the examples for validation.
inline constexpr std::uint64_t kSplitEpoch = UINT64_MAX;

}  // namespace bitaxon
