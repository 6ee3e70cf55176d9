// Random numbers of a ported model. Element i of a stream is the same however the elements are cut
// into pieces.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace bitaxon {

/// An endless list of random numbers that depends on the seed and a name only.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::string_view name);

  /// Elements [first, first + out.size()), uniform in [-bound, bound).
  void fill_uniform(std::int64_t first, double bound, std::span<float> out) const;
  /// The same elements, normally distributed around 0.
  void fill_normal(std::int64_t first, double deviation, std::span<float> out) const;

 private:
  std::array<std::uint32_t, 4> words(std::int64_t group) const;

  std::uint64_t seed_, name_;
};

}  // namespace bitaxon
