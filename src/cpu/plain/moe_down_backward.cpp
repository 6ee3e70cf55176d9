//   a[r, s] = down[e]^T g_y[r], e = experts[r, s]
//   g_act[r, s] = gates[r, s] * a[r, s];  g_gates[r, s] = dot(a[r, s], act[r, s])
#include "ops/moe_down_backward.h"

#include <algorithm>

#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

using namespace moe_down_backward_operand;

struct Scratch {
  std::int64_t intermediate;
  float* rows;   ///< [n_threads, I]
  double* sums;  ///< [n_threads, I]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : intermediate(node.shape(act)[2]),
        rows(layout.take<float>(n_threads * intermediate)),
        sums(layout.take<double>(n_threads * intermediate)) {}
};

void run(const KernelArgs& args, const Scratch& scratch) {
  const std::int64_t d_model = args.weight(down).desc.rows;
  const std::int64_t n = scratch.intermediate;
  const std::int64_t top_k = args.shape(experts)[1];
  args.pool.parallel_for(
      args.n_rows() * top_k, 2 * n * d_model,
      [&](std::int64_t begin, std::int64_t end, int thread) {
        float* row = scratch.rows + thread * n;
        double* sums = scratch.sums + thread * n;
        for (std::int64_t pair = begin; pair < end; ++pair) {
          const std::int64_t r = pair / top_k;
          std::fill_n(sums, n, 0.0);
          for (std::int64_t o = 0; o < d_model; ++o) {
            decode_row(args.weight(down), args.data<std::int32_t>(experts)[pair], o, row);
            const auto factor = static_cast<double>(args.data(g_y)[r * d_model + o]);
            for (std::int64_t i = 0; i < n; ++i) sums[i] += factor * static_cast<double>(row[i]);
          }
          const std::int64_t at = r * (top_k + 1) + pair % top_k;
          const auto gate = static_cast<double>(args.data(gates)[at]);
          double g_gate = 0;
          for (std::int64_t i = 0; i < n; ++i) {
            g_gate += sums[i] * static_cast<double>(args.data(act)[pair * n + i]);
            args.data(g_act)[pair * n + i] = static_cast<float>(gate * sums[i]);
          }
          args.data(g_gates)[at] = static_cast<float>(g_gate);
          if (pair % top_k == 0) args.data(g_gates)[r * (top_k + 1) + top_k] = 0;
        }
      });
}

}  // namespace

const CpuKernel moe_down_backward_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
