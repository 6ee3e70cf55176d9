// Loads and stores numbers of the float types, at any alignment.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bitaxon/dtype.h"
#include "core/half.h"

namespace bitaxon {

// Files are little-endian, and their bytes are loaded without a change of byte order.
static_assert(std::endian::native == std::endian::little);

/// Element `index` of an array of T that starts at any byte.
template <typename T>
T load_element(const std::byte* base, std::int64_t index) {
  T value;
  std::memcpy(&value, base + static_cast<std::size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void store_element(T value, std::byte* base, std::int64_t index) {
  std::memcpy(base + static_cast<std::size_t>(index) * sizeof(T), &value, sizeof(T));
}

/// Element `index` of an array of f16, bf16 or f32 numbers, widened exactly to f32.
inline float load_float(DType dtype, const std::byte* base, std::int64_t index) {
  switch (dtype) {
    case DType::f16:
      return f16_to_f32(load_element<std::uint16_t>(base, index));
    case DType::bf16:
      return bf16_to_f32(load_element<std::uint16_t>(base, index));
    default:
      return load_element<float>(base, index);
  }
}

/// Stores `value` as element `index`, rounded to nearest, ties to even.
inline void store_float(DType dtype, float value, std::byte* base, std::int64_t index) {
  switch (dtype) {
    case DType::f16:
      return store_element(f32_to_f16(value), base, index);
    case DType::bf16:
      return store_element(f32_to_bf16(value), base, index);
    default:
      return store_element(value, base, index);
  }
}

/// The value that load_float() returns after store_float() has stored `value`.
inline float rounded_to(DType dtype, float value) {
  return dtype == DType::f16    ? f16_to_f32(f32_to_f16(value))
         : dtype == DType::bf16 ? bf16_to_f32(f32_to_bf16(value))
                                : value;
}

}  // namespace bitaxon
