#include "support/tensors.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "core/half.h"

namespace bitaxon::test {

const TensorInfo& info_of(const Checkpoint& file, std::string_view name) {
  const TensorInfo* tensor = file.find(name);
  if (tensor == nullptr) throw std::runtime_error("no tensor " + std::string(name));
  return *tensor;
}

std::vector<std::byte> read_bytes(const Checkpoint& file, const std::string& name) {
  const TensorInfo& tensor = info_of(file, name);
  std::vector<std::byte> bytes(static_cast<std::size_t>(tensor.size_bytes));
  file.read(tensor, bytes);
  return bytes;
}

std::vector<float> read_f32(const Checkpoint& file, const std::string& name) {
  const TensorInfo& tensor = info_of(file, name);
  const std::vector<std::byte> bytes = read_bytes(file, name);
  std::vector<float> values(static_cast<std::size_t>(tensor.shape.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (tensor.dtype == DType::f32) {
      std::memcpy(&values[i], bytes.data() + 4 * i, 4);
      continue;
    }
    std::uint16_t half = 0;
    std::memcpy(&half, bytes.data() + 2 * i, 2);
    values[i] = tensor.dtype == DType::f16 ? f16_to_f32(half) : bf16_to_f32(half);
  }
  return values;
}

std::vector<std::int32_t> read_i32(const Checkpoint& file, const std::string& name) {
  const std::vector<std::byte> bytes = read_bytes(file, name);
  std::vector<std::int32_t> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

double relative_l2(std::span<const float> actual, std::span<const float> expected) {
  if (actual.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double d = static_cast<double>(actual[i]) - static_cast<double>(expected[i]);
    difference += d * d;
    norm += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
  }
  const double relative = norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
  return std::isnan(relative) ? std::numeric_limits<double>::infinity() : relative;
}

RowErrors row_errors(std::span<const float> actual, std::span<const float> expected,
                     std::int64_t n_rows) {
  RowErrors errors;
  errors.whole = relative_l2(actual, expected);
  const std::size_t cols = actual.size() / static_cast<std::size_t>(n_rows);
  for (std::size_t r = 0; r < static_cast<std::size_t>(n_rows); ++r) {
    const double error =
        relative_l2(actual.subspan(r * cols, cols), expected.subspan(r * cols, cols));
    if (error <= errors.worst_row) continue;
    errors.worst_row = error;
    errors.row = r;
  }
  return errors;
}

void expect_close(std::span<const float> actual, std::span<const float> expected,
                  std::int64_t n_rows, double bound, const std::string& what, double row_factor) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  ASSERT_GT(n_rows, 0) << what;
  const RowErrors errors = row_errors(actual, expected, n_rows);
  EXPECT_LE(errors.whole, bound) << what << ": over all rows";
  if (errors.worst_row <= row_factor * bound) return;
  const std::size_t cols = actual.size() / static_cast<std::size_t>(n_rows);
  const auto a = actual.subspan(errors.row * cols, cols);
  const auto e = expected.subspan(errors.row * cols, cols);
  std::size_t worst = 0;
  for (std::size_t c = 0; c < cols; ++c)
    if (!(std::abs(a[c] - e[c]) <= std::abs(a[worst] - e[worst]))) worst = c;
  ADD_FAILURE() << fmt::format(
      "{}: row {}: relative L2 {:.3g} > {:.3g}; at column {}: {} instead of {}", what, errors.row,
      errors.worst_row, row_factor * bound, worst, a[worst], e[worst]);
}

}  // namespace bitaxon::test
