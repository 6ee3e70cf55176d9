#include "training/data/order.h"

#include <numeric>
#include <utility>

#include "core/philox.h"

namespace bitaxon {
namespace {

std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

/// 64 random bits, scaled to a number below `n`.
std::uint64_t below(std::uint64_t n, std::uint32_t high_bits, std::uint32_t low_bits) {
  return (high_bits * n + ((low_bits * n) >> 32)) >> 32;
}

}  // namespace

// Fisher and Yates. Source: Knuth, "The Art of Computer Programming", volume 2, algorithm 3.4.2 P.
std::vector<std::uint32_t> shuffled_order(std::size_t n, std::uint64_t seed, std::uint64_t epoch) {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  for (std::size_t i = n; i > 1; --i) {
    const auto words =
        philox4x32({low(i), high(i), low(epoch), high(epoch)}, {low(seed), high(seed)});
    std::swap(order[i - 1], order[below(i, words[0], words[1])]);
  }
  return order;
}

}  // namespace bitaxon
