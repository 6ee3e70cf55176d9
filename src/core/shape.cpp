#include "bitaxon/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bitaxon/error.h"

namespace bitaxon {

Shape::Shape(std::span<const std::int64_t> dims) {
  if (dims.size() > kMaxRank)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("shape: expected at most {} extents, got {}", kMaxRank, dims.size()));
  rank_ = static_cast<int>(dims.size());
  for (std::size_t i = 0; i < dims.size(); ++i) {
    constexpr std::int64_t kMaxElements = std::int64_t{1} << 62;
    std::int64_t product = 0;
    if (dims[i] < 0 || __builtin_mul_overflow(elements_, dims[i], &product) ||
        product > kMaxElements)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("shape: expected extents >= 0 with a product of at most 2^62, got "
                              "[{}]",
                              fmt::join(dims, ", ")));
    dims_[i] = dims[i];
    elements_ = product;
  }
}

std::string Shape::to_string() const { return fmt::format("[{}]", fmt::join(dims(), ", ")); }

}  // namespace bitaxon
