// Helpers that compute the allowed errors of results (OpProblem::errors).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cases/op_case.h"
#include "cases/rounded.h"

namespace bitaxon::test {

/// All elements of a weight, decoded.
std::vector<float> values_of(const CaseWeight& weight);

/// Decodes a weight row by row.
class WeightRows {
 public:
  explicit WeightRows(const CaseWeight& weight);
  /// Decodes a row of the weight, seen as a matrix [n_matrices * rows, cols]. The result is valid
  /// until the next call.
  WeightRow row(std::int64_t row);

 private:
  const CaseWeight& weight_;
  std::vector<std::byte> no_biases_;
  std::vector<float> values_, offsets_;
};

/// A valid row of a float input: all elements with this index of the first axis.
std::span<const float> input_row(const OpProblem& p, std::size_t input, std::int64_t row);
/// All elements of the valid rows of a float input.
std::vector<Rounded> elements_of(const OpProblem& p, std::size_t input);
/// All valid rows of the input x, or the first n_cols columns of these rows. The rows are
/// normalized if there is a norm.
std::vector<NormedRow> normed_rows(const OpProblem& p, std::size_t x,
                                   std::optional<std::size_t> norm, double eps,
                                   std::optional<std::size_t> n_cols = {});
/// The products rows @ matrix^T. The result has the shape [rows, rows of the matrix].
std::vector<Rounded> products(const CaseWeight& weight, const std::vector<NormedRow>& rows);

/// The allowed error of a result, including the rounding of the reference to float32.
double allowed_of(const Rounded& result);
std::vector<double> allowed_of(std::span<const Rounded> results);

/// Adds the vector `bias` to each row of `results`.
void add_bias(const CaseWeight& bias, std::vector<Rounded>& results);

/// The allowed errors of rows @ matrix^T + bias + residual.
ResultErrors linear_errors(const OpProblem& p, const std::vector<NormedRow>& rows,
                           std::size_t weight, std::optional<std::size_t> residual,
                           std::optional<std::size_t> bias = {});

}  // namespace bitaxon::test
