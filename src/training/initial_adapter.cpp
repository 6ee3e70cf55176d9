#include "training/initial_adapter.h"

#include <array>
#include <cmath>

#include "core/philox.h"

namespace bitaxon {

/// Element i takes word i % 4 of Philox4x32-10 with the key (seed, layer) and the counter (i / 4, 0,
/// 2^32 - 1, the high word of the seed). Dropout never uses such counters.
void draw_lora_a(std::uint64_t seed, std::uint32_t layer, std::int64_t n_in, std::span<float> out) {
  const double bound = 1 / std::sqrt(static_cast<double>(n_in));
  const auto low = static_cast<std::uint32_t>(seed), high = static_cast<std::uint32_t>(seed >> 32);
  std::array<std::uint32_t, 4> words{};
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i % 4 == 0)
      words = philox4x32({static_cast<std::uint32_t>(i / 4), 0, UINT32_MAX, high}, {low, layer});
    out[i] = static_cast<float>((words[i % 4] >> 8) * 0x1p-24 * 2 * bound - bound);
  }
}

}  // namespace bitaxon
