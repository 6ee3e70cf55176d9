// Floats as a file stores them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bitaxon/dtype.h"
#include "core/half.h"

namespace bitaxon::test {

/// The bytes of the n floats value(0), value(1), ... in a dtype: f32, f16 or bf16.
template <class Value>
std::vector<std::byte> stored_floats(DType dtype, std::int64_t n, const Value& value) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(n) * size_of(dtype));
  for (std::int64_t i = 0; i < n; ++i) {
    const float v = value(i);
    std::byte* to = bytes.data() + static_cast<std::size_t>(i) * size_of(dtype);
    if (dtype == DType::f32) {
      std::memcpy(to, &v, sizeof(v));
    } else {
      const std::uint16_t half = dtype == DType::f16 ? f32_to_f16(v) : f32_to_bf16(v);
      std::memcpy(to, &half, sizeof(half));
    }
  }
  return bytes;
}

}  // namespace bitaxon::test
