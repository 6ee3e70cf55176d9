#include "cases/errors.h"

#include <algorithm>
#include <cmath>

namespace bitaxon::test {

std::vector<float> values_of(const CaseWeight& weight) {
  std::vector<float> values(static_cast<std::size_t>(weight.desc.elements()));
  decode(weight.desc, weight.parts(), 0, values);
  return values;
}

WeightRows::WeightRows(const CaseWeight& weight)
    : weight_(weight),
      no_biases_(weight.biases.size()),
      values_(static_cast<std::size_t>(weight.desc.cols)),
      offsets_(values_.size()) {}

WeightRow WeightRows::row(std::int64_t row) {
  const WeightDesc& desc = weight_.desc;
  WeightParts parts = weight_.parts();
  decode(desc, parts, row * desc.cols, values_);
  if (desc.format == WeightFormat::dense) return {values_};
  // A nested absmax is decoded by a product and a sum. Then the codebook value is multiplied by the
  // absmax. Each of these operations rounds.
  if (desc.format == WeightFormat::codebook) return {values_, {}, desc.nested ? 3 : 1};
  parts.biases = no_biases_;
  decode(desc, parts, row * desc.cols, offsets_);
  for (std::size_t c = 0; c < offsets_.size(); ++c) offsets_[c] = values_[c] - offsets_[c];
  // A factor may be multiplied with scale, bias and value.
  return {values_, offsets_, desc.factor == 1 ? 2 : 5};
}

std::span<const float> input_row(const OpProblem& p, std::size_t input, std::int64_t row) {
  const CaseInput& from = p.inputs()[input];
  const auto n = static_cast<std::size_t>(from.shape.elements() / from.shape[0]);
  const auto* values = reinterpret_cast<const float*>(from.bytes.data());
  return {values + static_cast<std::size_t>(row) * n, n};
}

std::vector<Rounded> elements_of(const OpProblem& p, std::size_t input) {
  std::vector<Rounded> elements;
  for (std::int64_t r = 0; r < p.valid_rows(p.inputs()[input].row_space); ++r)
    for (const float value : input_row(p, input, r)) elements.push_back({value});
  return elements;
}

std::vector<NormedRow> normed_rows(const OpProblem& p, std::size_t x,
                                   std::optional<std::size_t> norm, double eps,
                                   std::optional<std::size_t> n_cols) {
  const std::vector<float> weight = norm ? values_of(p.weights()[*norm]) : std::vector<float>();
  std::vector<NormedRow> rows;
  for (std::int64_t r = 0; r < p.valid_rows(p.inputs()[x].row_space); ++r) {
    const auto row = input_row(p, x, r);
    rows.push_back(normed(row.first(n_cols.value_or(row.size())), weight, eps));
  }
  return rows;
}

std::vector<Rounded> products(const CaseWeight& weight, const std::vector<NormedRow>& rows) {
  const auto n_out = static_cast<std::size_t>(weight.desc.rows);
  std::vector<Rounded> results(rows.size() * n_out);
  WeightRows decoded(weight);
  for (std::size_t o = 0; o < n_out; ++o) {
    const WeightRow w = decoded.row(static_cast<std::int64_t>(o));
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const Rounded sum = product(w, rows[r].x);
      results[r * n_out + o] = rows[r].scale ? sum * *rows[r].scale : sum;
    }
  }
  return results;
}

double allowed_of(const Rounded& result) { return rounded(result).allowed(); }

std::vector<double> allowed_of(std::span<const Rounded> results) {
  std::vector<double> allowed;
  for (const Rounded& result : results) allowed.push_back(allowed_of(result));
  return allowed;
}

void add_bias(const CaseWeight& bias, std::vector<Rounded>& results) {
  const std::vector<float> values = values_of(bias);
  for (std::size_t i = 0; i < results.size(); ++i)
    results[i] = results[i] + Rounded{static_cast<double>(values[i % values.size()])};
}

ResultErrors linear_errors(const OpProblem& p, const std::vector<NormedRow>& rows,
                           std::size_t weight, std::optional<std::size_t> residual,
                           std::optional<std::size_t> bias) {
  std::vector<Rounded> results = products(p.weights()[weight], rows);
  if (bias) add_bias(p.weights()[*bias], results);
  if (residual) {
    const std::size_t n_out = results.size() / std::max<std::size_t>(rows.size(), 1);
    for (std::size_t i = 0; i < results.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i / n_out);
      results[i] =
          results[i] + Rounded{static_cast<double>(input_row(p, *residual, row)[i % n_out])};
    }
  }
  return {allowed_of(results)};
}

}  // namespace bitaxon::test
