#include "cpu/products.h"

#include <array>

namespace bitaxon::cpu {

double dot(const float* a, const float* b, std::int64_t n) {
  // Independent partial sums let the compiler use vector registers without reordering anything.
  constexpr std::int64_t kLanes = 16;
  std::array<double, kLanes> sums{};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane)
      sums[static_cast<std::size_t>(lane)] +=
          static_cast<double>(a[i + lane]) * static_cast<double>(b[i + lane]);
  double total = 0;
  for (double sum : sums) total += sum;
  for (; i < n; ++i) total += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return total;
}

void rms_norm(const float* x, const float* weight, float eps, std::int64_t cols, float* out) {
  const double mean_square = dot(x, x, cols) / static_cast<double>(cols);
  const double scale = 1.0 / std::sqrt(mean_square + static_cast<double>(eps));
  for (std::int64_t c = 0; c < cols; ++c)
    out[c] = static_cast<float>(static_cast<double>(weight[c]) * static_cast<double>(x[c]) * scale);
}

void decode_row(const PackedWeight& weight, std::int64_t matrix, std::int64_t row, float* out) {
  const WeightDesc& desc = weight.desc;
  decode(desc, weight.parts, (matrix * desc.rows + row) * desc.cols,
         {out, static_cast<std::size_t>(desc.cols)});
}

void decode_all(const PackedWeight& weight, float* out) {
  decode(weight.desc, weight.parts, 0, {out, static_cast<std::size_t>(weight.desc.elements())});
}

void rms_norm_rows(const KernelArgs& args, const float* x, const PackedWeight& norm, float eps,
                   std::int64_t n_rows, std::int64_t cols, float* weight_scratch, float* out) {
  decode_all(norm, weight_scratch);
  args.pool.parallel_for(n_rows, 4 * cols, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t r = begin; r < end; ++r)
      rms_norm(x + r * cols, weight_scratch, eps, cols, out + r * cols);
  });
}

}  // namespace bitaxon::cpu
