// Random numbers that are the same with every compiler and standard library.
// Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators" (SplitMix64).
#pragma once

#include <cstdint>

namespace bitaxon {

/// The step between two states of the generator.
inline constexpr std::uint64_t kMix64Step = 0x9E3779B97F4A7C15U;

/// The generator's output for one state.
constexpr std::uint64_t mix64_output(std::uint64_t state) {
  std::uint64_t z = state;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
  z = (z ^ z >> 27) * 0x94D049BB133111EBU;
  return z ^ z >> 31;
}

/// A well-mixed number for each counter. This is fast enough to fill gigabytes in seconds.
constexpr std::uint64_t mix64(std::uint64_t counter) {
  return mix64_output((counter + 1) * kMix64Step);
}

}  // namespace bitaxon
