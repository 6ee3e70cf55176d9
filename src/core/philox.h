// Philox4x32-10, a counter-based random number generator. Equal keys and counters give equal words
// on every device. Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
// 3", section 4.3 and the known-answer vectors of its Random123 library.
#pragma once

#include <array>
#include <cstdint>

namespace bitaxon {

/// Four random words for a counter and a key: ten rounds of Philox4x32.
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                  std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53U} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57U} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product0)};
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return counter;
}

}  // namespace bitaxon
