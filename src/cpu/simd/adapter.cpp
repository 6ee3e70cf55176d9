//   o = base + scale * (x A) B;  y = (m / n) * o + bias + residual for DoRA, o + ... for LoRA
#include "ops/adapter.h"

#include "cpu/simd/adapter_rows.h"
#include "cpu/simd/gradient_rows.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"

namespace bitaxon::cpu {
namespace {

using namespace adapter_operand;

struct Scratch {
  AdapterRows rows;
  float* factors;  ///< [out]
  float* bias;     ///< [out]: used if the bias is not stored by columns

  Scratch(ScratchLayout& layout, const NodeView& node, int)
      : rows(layout, node, x),
        factors(layout.take<float>(node.shape(y)[1])),
        bias(layout.take<float>(node.shape(y)[1])) {}
};

void run(const KernelArgs& args, Scratch& scratch) {
  const AdapterPlace& place = scratch.rows.place();
  const std::int64_t n_out = args.shape(y)[1];
  const float* all = args.data(parameters);
  const bool is_dora = place.is_dora != 0;
  scratch.rows.prepare(args, all + place.a);
  if (is_dora)
    adapter_factors(all + place.m, args.data(norms) + place.norm, n_out, scratch.factors);
  RowSum sum{.weights = nullptr, .rows = all + place.b, .rank = place.rank, .n = n_out};
  sum.factor = place.scale;
  sum.factors = is_dora ? scratch.factors : nullptr;
  if (args.has(bias)) sum.bias = columns_of(args.weight(bias), scratch.bias);
  args.pool.parallel_for(args.valid_rows(x), 2 * sum.rank * n_out,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t r = begin; r < end; ++r) {
                             RowSum of_row = sum;
                             of_row.weights = scratch.rows.u(r);
                             of_row.base = args.data(base) + r * n_out;
                             if (args.has(residual))
                               of_row.residual = args.data(residual) + r * n_out;
                             sum_rows(of_row, args.data(y) + r * n_out);
                           }
                         });
}

}  // namespace

const CpuKernel simd_adapter = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
