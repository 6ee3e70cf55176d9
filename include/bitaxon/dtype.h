// Element types of tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace bitaxon {

enum class DType : std::uint8_t { f32, f16, bf16, u8, i32, u32, i64 };

/// Bytes of one element.
constexpr std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::u8:
      return 1;
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::f32:
    case DType::i32:
    case DType::u32:
      return 4;
    case DType::i64:
      return 8;
  }
  return 0;
}

/// The safetensors spelling: "F32", "F16", "BF16", "U8", "I32", "U32", "I64".
constexpr std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::f16:
      return "F16";
    case DType::bf16:
      return "BF16";
    case DType::u8:
      return "U8";
    case DType::i32:
      return "I32";
    case DType::u32:
      return "U32";
    case DType::i64:
      return "I64";
  }
  return "?";
}

/// The inverse of name_of. Empty for any other name.
constexpr std::optional<DType> dtype_named(std::string_view name) {
  for (DType dtype :
       {DType::f32, DType::f16, DType::bf16, DType::u8, DType::i32, DType::u32, DType::i64})
    if (name_of(dtype) == name) return dtype;
  return std::nullopt;
}

constexpr bool is_float(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

}  // namespace bitaxon
