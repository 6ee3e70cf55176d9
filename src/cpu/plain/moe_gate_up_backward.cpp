//   g_x[r] = sum_s gate[e]^T g_gate[r, s] + up[e]^T g_up[r, s], e = experts[r, s]
#include "ops/moe_gate_up_backward.h"

#include <algorithm>
#include <utility>

#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

using namespace moe_gate_up_backward_operand;

struct Scratch {
  std::int64_t d_model;
  float* rows;   ///< [n_threads, D]
  double* sums;  ///< [n_threads, D]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : d_model(node.shape(g_x)[1]),
        rows(layout.take<float>(n_threads * d_model)),
        sums(layout.take<double>(n_threads * d_model)) {}
};

void run(const KernelArgs& args, const Scratch& scratch) {
  const std::int64_t intermediate = args.weight(gate).desc.rows;
  const std::int64_t top_k = args.shape(experts)[1];
  args.pool.parallel_for(
      args.n_rows(), 4 * top_k * intermediate * scratch.d_model,
      [&](std::int64_t begin, std::int64_t end, int thread) {
        float* row = scratch.rows + thread * scratch.d_model;
        double* sums = scratch.sums + thread * scratch.d_model;
        for (std::int64_t r = begin; r < end; ++r) {
          std::fill_n(sums, scratch.d_model, 0.0);
          for (std::int64_t pair = r * top_k; pair < (r + 1) * top_k; ++pair)
            for (const auto& [weight, g] : {std::pair(gate, g_gate), std::pair(up, g_up)})
              for (std::int64_t o = 0; o < intermediate; ++o) {
                decode_row(args.weight(weight), args.data<std::int32_t>(experts)[pair], o, row);
                const auto factor = static_cast<double>(args.data(g)[pair * intermediate + o]);
                for (std::int64_t c = 0; c < scratch.d_model; ++c)
                  sums[c] += factor * static_cast<double>(row[c]);
              }
          for (std::int64_t c = 0; c < scratch.d_model; ++c)
            args.data(g_x)[r * scratch.d_model + c] = static_cast<float>(sums[c]);
        }
      });
}

}  // namespace

const CpuKernel moe_gate_up_backward_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
