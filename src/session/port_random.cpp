#include "session/port_random.h"

#include <cmath>
#include <numbers>

#include "core/mix64.h"
#include "core/philox.h"

namespace bitaxon {
namespace {

constexpr std::int64_t kGroup = 4;  ///< numbers of one counter

std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

/// Calls group(index, numbers) for the groups that meet [first, first + out.size()), and copies the
/// numbers of that range.
template <class Group>
void fill_groups(std::int64_t first, std::span<float> out, const Group& group) {
  const std::int64_t end = first + std::ssize(out);
  std::array<float, kGroup> numbers{};
  for (std::int64_t index = first / kGroup; index * kGroup < end; ++index) {
    group(index, numbers);
    for (std::int64_t i = 0; i < kGroup; ++i) {
      const std::int64_t at = index * kGroup + i - first;
      if (at >= 0 && at < std::ssize(out))
        out[static_cast<std::size_t>(at)] = numbers[static_cast<std::size_t>(i)];
    }
  }
}

}  // namespace

RandomStream::RandomStream(std::uint64_t seed, std::string_view name) : seed_(seed), name_(0) {
  for (const char c : name) name_ = mix64(name_ ^ static_cast<unsigned char>(c));
}

std::array<std::uint32_t, 4> RandomStream::words(std::int64_t group) const {
  const auto counter = static_cast<std::uint64_t>(group);
  return philox4x32({low(counter), high(counter), low(name_), high(name_)},
                    {low(seed_), high(seed_)});
}

void RandomStream::fill_uniform(std::int64_t first, double bound, std::span<float> out) const {
  const auto scale = static_cast<float>(2 * bound);
  fill_groups(first, out, [&](std::int64_t index, std::array<float, kGroup>& numbers) {
    const auto bits = words(index);
    for (std::size_t i = 0; i < numbers.size(); ++i)
      numbers[i] = (static_cast<float>(bits[i] >> 8) * 0x1p-24F - 0.5F) * scale;
  });
}

// Box and Muller 1958, "A note on the generation of random normal deviates".
void RandomStream::fill_normal(std::int64_t first, double deviation, std::span<float> out) const {
  fill_groups(first, out, [&](std::int64_t index, std::array<float, kGroup>& numbers) {
    const auto bits = words(index);
    for (std::size_t i = 0; i < numbers.size(); i += 2) {
      const double above_0 = (static_cast<double>(bits[i]) + 1) * 0x1p-32;
      const double radius = deviation * std::sqrt(-2 * std::log(above_0));
      const double angle = 2 * std::numbers::pi * 0x1p-32 * static_cast<double>(bits[i + 1]);
      numbers[i] = static_cast<float>(radius * std::cos(angle));
      numbers[i + 1] = static_cast<float>(radius * std::sin(angle));
    }
  });
}

}  // namespace bitaxon
