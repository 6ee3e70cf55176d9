#include "formats/stored_type.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>
#include <utility>

#include "bitaxon/error.h"

namespace bitaxon {
namespace {

struct NamedBits {
  std::string_view name;
  std::uint64_t bits;
};

/// The types of the safetensors format that are not a DType, with their bits. Source: Dtype of the
/// format's Rust reference reader, 0.7.
constexpr NamedBits kOtherTypes[] = {
    {"BOOL", 8},        {"F4", 4},          {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"I8", 8},
    {"F8_E5M2", 8},     {"F8_E4M3", 8},     {"F8_E8M0", 8}, {"I16", 16},    {"U16", 16},
    {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"C64", 64},    {"F64", 64},    {"U64", 64}};

}  // namespace

std::optional<StoredType> StoredType::named(std::string_view name) {
  if (const auto dtype = dtype_named(name)) return StoredType(*dtype);
  for (const NamedBits& other : kOtherTypes)
    if (name == other.name) return StoredType(other.name, other.bits);
  return std::nullopt;
}

StoredShape::StoredShape(std::vector<std::int64_t> dims) : dims_(std::move(dims)) {
  constexpr std::int64_t kMaxElements = std::int64_t{1} << 62;
  for (const std::int64_t extent : dims_)
    if (extent < 0 || __builtin_mul_overflow(elements_, extent, &elements_) ||
        elements_ > kMaxElements)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("stored shape: expected extents >= 0 with a product of at most 2^62, "
                              "got {}",
                              to_string()));
}

std::string StoredShape::to_string() const { return fmt::format("[{}]", fmt::join(dims_, ", ")); }

std::optional<std::uint64_t> bytes_of(StoredType type, const StoredShape& shape) {
  // The unit is a byte, or a bit for types that do not fill whole bytes. A count of bits for every
  // type would overflow 64 bits with large tensors.
  const std::uint64_t unit_bits = type.bits() % 8 == 0 ? 8 : 1;
  std::uint64_t units = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(shape.elements()), type.bits() / unit_bits,
                             &units) ||
      units > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) ||
      units % (8 / unit_bits) != 0)
    return std::nullopt;
  return units / (8 / unit_bits);
}

}  // namespace bitaxon
