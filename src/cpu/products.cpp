#include "cpu/products.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

namespace bitaxon::cpu {

double dot(const float* a, const float* b, std::int64_t n) {
  // There are sixteen partial sums for every vector size. So the order of additions, and with it
  // the last bit of the result, is the same on all machines.
  constexpr int kLanes = 16;
  using Block = Eigen::Map<const Eigen::Array<float, kLanes, 1>>;
  Eigen::Array<double, kLanes, 1> sums = Eigen::Array<double, kLanes, 1>::Zero();
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    sums += Block(a + i).cast<double>() * Block(b + i).cast<double>();
  double total = 0;
  for (const double sum : sums) total += sum;
  for (; i < n; ++i) total += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return total;
}

void rms_norm(const float* x, const float* weight, float eps, std::int64_t cols, float* out) {
  using Row = Eigen::Map<const Eigen::ArrayXf>;
  const double mean_square = dot(x, x, cols) / static_cast<double>(cols);
  const double scale = 1.0 / std::sqrt(mean_square + static_cast<double>(eps));
  Eigen::Map<Eigen::ArrayXf>(out, cols) =
      (Row(weight, cols).cast<double>() * Row(x, cols).cast<double>() * scale).cast<float>();
}

void rms_norm_rows(const KernelArgs& args, const float* x, const PackedWeight& norm, float eps,
                   std::int64_t n_rows, std::int64_t cols, float* weight_scratch, float* out) {
  decode_all(norm, weight_scratch);
  args.pool.parallel_for(n_rows, 4 * cols, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t r = begin; r < end; ++r)
      rms_norm(x + r * cols, weight_scratch, eps, cols, out + r * cols);
  });
}

void decode_or_zeros(const KernelArgs& args, int operand, float* out, std::int64_t n) {
  if (args.has(operand))
    decode_all(args.weight(operand), out);
  else
    std::fill_n(out, n, 0.0F);
}

}  // namespace bitaxon::cpu
