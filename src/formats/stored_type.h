// Element types and shapes of the safetensors format. The format has types and ranks that the
// program does not compute with.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/dtype.h"
#include "bitaxon/shape.h"

namespace bitaxon {

/// An element type of the safetensors format. Every DType is also a StoredType.
class StoredType {
 public:
  constexpr StoredType(DType dtype) : name_(name_of(dtype)), bits_(8 * size_of(dtype)) {}
  /// The type with this name. Empty for a name that the format does not define.
  static std::optional<StoredType> named(std::string_view name);

  /// The format's spelling: "F32", "BOOL", "F8_E4M3".
  constexpr std::string_view name() const { return name_; }
  /// The number of bits of one element. Elements of less than a byte are packed.
  constexpr std::uint64_t bits() const { return bits_; }
  /// This type as a DType. Empty for a type that the program does not compute with.
  constexpr std::optional<DType> dtype() const { return dtype_named(name_); }

  friend constexpr bool operator==(StoredType a, StoredType b) { return a.name_ == b.name_; }

 private:
  constexpr StoredType(std::string_view name, std::uint64_t bits) : name_(name), bits_(bits) {}

  std::string_view name_;  ///< a literal, valid until the program ends
  std::uint64_t bits_;
};

constexpr std::string_view name_of(StoredType type) { return type.name(); }
constexpr bool is_float(StoredType type) {
  const std::optional<DType> dtype = type.dtype();
  return dtype && is_float(*dtype);
}

/// Extents of a stored tensor, outermost first: a Shape of any rank.
class StoredShape {
 public:
  StoredShape() = default;
  StoredShape(const Shape& shape) : StoredShape({shape.dims().begin(), shape.dims().end()}) {}
  StoredShape(std::initializer_list<std::int64_t> dims)
      : StoredShape(std::vector<std::int64_t>(dims)) {}
  /// Throws Error(invalid_argument) for a negative extent or a product beyond 2^62.
  explicit StoredShape(std::vector<std::int64_t> dims);
  /// Throws Error(invalid_argument) for a rank beyond Shape::kMaxRank.
  explicit operator Shape() const { return Shape(dims()); }

  int rank() const { return static_cast<int>(dims_.size()); }
  std::int64_t operator[](int axis) const { return dims_[static_cast<std::size_t>(axis)]; }
  /// Product of all extents; 1 for rank 0.
  std::int64_t elements() const { return elements_; }
  std::span<const std::int64_t> dims() const { return dims_; }
  /// The extents as text: "[2, 3]".
  std::string to_string() const;

  friend bool operator==(const StoredShape& a, const StoredShape& b) { return a.dims_ == b.dims_; }

 private:
  std::vector<std::int64_t> dims_;
  std::int64_t elements_ = 1;
};

/// The size of a tensor in bytes. Empty when the elements do not fill whole bytes, or when the size
/// exceeds 2^63 - 1.
std::optional<std::uint64_t> bytes_of(StoredType type, const StoredShape& shape);

}  // namespace bitaxon
