// Integer division and alignment that round up.
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>

namespace bitaxon {

/// Values, scratch and state tensors begin at multiples of this number. It suits every device,
/// because Vulkan devices may not require more than 256 for the offset of a storage buffer.
inline constexpr std::size_t kBufferAlignment = 256;

/// n / size, rounded up, for n >= 0 and size > 0. Cannot overflow.
template <std::integral T>
constexpr T divide_up(T n, std::type_identity_t<T> size) {
  return n / size + (n % size != 0 ? 1 : 0);
}

/// The smallest multiple of `alignment` that is at least `n`.
template <std::integral T>
constexpr T align_up(T n, std::type_identity_t<T> alignment) {
  return divide_up(n, alignment) * alignment;
}

}  // namespace bitaxon
