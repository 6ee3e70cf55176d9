// Reads recorded tensors and compares numbers.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/safetensors.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {

/// These functions read a tensor of a file: as float32 (from F32, F16 or BF16), as int32 (from
/// I32), or as the stored bytes.
std::vector<float> read_f32(const Checkpoint& file, const std::string& name);
std::vector<std::int32_t> read_i32(const Checkpoint& file, const std::string& name);
std::vector<std::byte> read_bytes(const Checkpoint& file, const std::string& name);
const TensorInfo& info_of(const Checkpoint& file, std::string_view name);

/// The relative L2 error ||actual - expected|| / ||expected||. Infinite if a number is NaN or the
/// sizes differ.
double relative_l2(std::span<const float> actual, std::span<const float> expected);

/// Relative L2 errors of rows.
struct RowErrors {
  double whole = 0;  ///< the error of all rows together
  double worst_row = 0;
  std::size_t row = 0;  ///< index of the row with the largest error
};
/// Computes the errors of n_rows rows. Both spans must have the same size, a multiple of n_rows.
RowErrors row_errors(std::span<const float> actual, std::span<const float> expected,
                     std::int64_t n_rows);

/// Expects a relative L2 error of at most `bound` over all rows, and of at most `row_factor *
/// bound` in every single row. A failure names `what`, the worst row, and the worst element of this
/// row.
void expect_close(std::span<const float> actual, std::span<const float> expected,
                  std::int64_t n_rows, double bound, const std::string& what,
                  double row_factor = 4);

}  // namespace bitaxon::test
