// What cases of several ops need to say how far their results may be off (OpProblem::errors).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cases/op_case.h"
#include "cases/rounded.h"

namespace bitaxon::test {

/// All elements of a weight.
std::vector<float> values_of(const CaseWeight& weight);

/// Decodes rows of a weight one at a time.
class WeightRows {
 public:
  explicit WeightRows(const CaseWeight& weight);
  /// Row of the flattened [n_matrices * rows, cols]; valid until the next call.
  WeightRow row(std::int64_t row);

 private:
  const CaseWeight& weight_;
  std::vector<std::byte> no_biases_;
  std::vector<float> values_, offsets_;
};

/// A valid row of a float input, over all axes but the first.
std::span<const float> input_row(const OpProblem& p, std::size_t input, std::int64_t row);
/// All valid rows of x, normed where there is a norm.
std::vector<NormedRow> normed_rows(const OpProblem& p, std::size_t x,
                                   std::optional<std::size_t> norm, double eps);
/// rows @ matrix^T: [rows, rows of the matrix]
std::vector<Rounded> products(const CaseWeight& weight, const std::vector<NormedRow>& rows);

/// What a result may be off, the reference's own rounding to float32 included.
double allowed_of(const Rounded& result);
std::vector<double> allowed_of(std::span<const Rounded> results);

/// rows @ matrix^T, and the same rows of the residual added.
ResultErrors linear_errors(const OpProblem& p, const std::vector<NormedRow>& rows,
                           std::size_t weight, std::optional<std::size_t> residual);

}  // namespace bitaxon::test
