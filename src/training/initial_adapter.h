// The numbers that an adapter begins with.
#pragma once

#include <cstdint>
#include <span>

namespace bitaxon {

/// The initial A of an adapted layer with `n_in` inputs: uniform in [-1/sqrt(in), 1/sqrt(in)).
/// `layer` is the layer's place among the adapted layers. The same on every device.
void draw_lora_a(std::uint64_t seed, std::uint32_t layer, std::int64_t n_in, std::span<float> out);

}  // namespace bitaxon
