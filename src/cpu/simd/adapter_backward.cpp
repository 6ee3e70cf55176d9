//   u = x A;  g_o = (m / n) * g_y;  t = scale * g_o B^T
//   s = u^T g_y;  g_B += scale * (m / n) * s;  g_m += (colsum(g_y * base) + scale * sum_k B * s) / n
//   g_A += x^T t;  g_x = t A^T
// Sums over rows are in the order of the rows. Threads share columns, so no result depends on the
// number of threads.
#include "ops/adapter_backward.h"

#include <algorithm>

#include "cpu/simd/adapter_rows.h"
#include "cpu/simd/gradient_rows.h"
#include "cpu/simd/kernels.h"

namespace bitaxon::cpu {
namespace {

using namespace adapter_backward_operand;

struct Scratch {
  std::int64_t n_in, n_out;
  AdapterRows rows;
  float* factors;  ///< [out]
  float* t;        ///< [R, rank]
  float* sums;     ///< [n_threads, rank + 1, kSumColumns]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : n_in(node.shape(x)[1]),
        n_out(node.shape(g_y)[1]),
        rows(layout, node, x),
        factors(layout.take<float>(n_out)),
        t(layout.take<float>(node.shape(x)[0] * rank())),
        sums(layout.take<float>(n_threads * sums_of_thread())) {}

  std::int64_t rank() const { return rows.place().rank; }
  std::int64_t sums_of_thread() const { return (rank() + 1) * kSumColumns; }
};

/// Computes t, the gradient of base, and the gradient of x.
void gradients_of_rows(const KernelArgs& args, const Scratch& scratch) {
  const AdapterPlace& place = scratch.rows.place();
  const std::int64_t n_out = scratch.n_out;
  const float* b = args.data(parameters) + place.b;
  args.pool.parallel_for(
      args.valid_rows(x), 4 * scratch.rank() * (scratch.n_in + n_out),
      [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t r = begin; r < end; ++r) {
          const float* g_o = args.data(g_y) + r * n_out;
          if (place.is_dora != 0) {
            float* to = args.data(g_base) + r * n_out;
            for (std::int64_t o = 0; o < n_out; ++o) to[o] = scratch.factors[o] * g_o[o];
            g_o = to;
          }
          float* t = scratch.t + r * scratch.rank();
          dots_of(g_o, b, scratch.rank(), n_out, place.scale, t);
          sum_rows(
              {.weights = t, .rows = scratch.rows.a(), .rank = scratch.rank(), .n = scratch.n_in},
              args.data(g_x) + r * scratch.n_in);
        }
      });
}

/// Adds the gradients of A.
void add_to_a(const KernelArgs& args, const Scratch& scratch) {
  const std::int64_t rank = scratch.rank();
  float* g_a = args.data(gradients) + scratch.rows.place().a;
  const std::int64_t n_rows = args.valid_rows(x);
  args.pool.parallel_for(divide_up(scratch.n_in, kSumColumns), 2 * kSumColumns * rank * n_rows,
                         [&](std::int64_t begin, std::int64_t end, int thread) {
                           float* sums = scratch.sums + thread * scratch.sums_of_thread();
                           for (std::int64_t item = begin; item < end; ++item) {
                             const std::int64_t first = item * kSumColumns;
                             const std::int64_t count = std::min(kSumColumns, scratch.n_in - first);
                             sum_columns({.x = scratch.rows.row(0) + first,
                                          .other = nullptr,
                                          .stride = scratch.n_in,
                                          .n_rows = n_rows,
                                          .weights = scratch.t,
                                          .rank = rank,
                                          .n_cols = count},
                                         sums, nullptr);
                             for (std::int64_t i = 0; i < count; ++i)
                               for (std::int64_t k = 0; k < rank; ++k)
                                 g_a[(first + i) * rank + k] += sums[k * kSumColumns + i];
                           }
                         });
}

/// Adds the gradients of B and m for the columns [first, first + count).
void add_columns_of_b(const KernelArgs& args, const Scratch& scratch, std::int64_t first,
                      std::int64_t count, float* sums) {
  const AdapterPlace& place = scratch.rows.place();
  const std::int64_t n_out = scratch.n_out;
  const bool is_dora = place.is_dora != 0;
  float* of_m = sums + scratch.rank() * kSumColumns;
  std::fill_n(of_m, kSumColumns, 0.0F);
  sum_columns({.x = args.data(g_y) + first,
               .other = is_dora ? args.data(base) + first : nullptr,
               .stride = n_out,
               .n_rows = args.valid_rows(x),
               .weights = scratch.rows.u(0),
               .rank = scratch.rank(),
               .n_cols = count},
              sums, of_m);
  const float* b = args.data(parameters) + place.b + first;
  float* g_b = args.data(gradients) + place.b + first;
  for (std::int64_t k = 0; k < scratch.rank(); ++k)
    for (std::int64_t i = 0; i < count; ++i) {
      const float sum = place.scale * sums[k * kSumColumns + i];
      g_b[k * n_out + i] += scratch.factors[first + i] * sum;
      of_m[i] += sum * b[k * n_out + i];
    }
  if (!is_dora) return;
  const float* n = args.data(norms) + place.norm + first;
  float* g_m = args.data(gradients) + place.m + first;
  for (std::int64_t i = 0; i < count; ++i)
    if (n[i] != 0) g_m[i] += of_m[i] / n[i];
}

/// Adds the gradients of B and m.
void add_to_b(const KernelArgs& args, const Scratch& scratch) {
  args.pool.parallel_for(divide_up(scratch.n_out, kSumColumns),
                         2 * kSumColumns * (scratch.rank() + 1) * args.valid_rows(x),
                         [&](std::int64_t begin, std::int64_t end, int thread) {
                           for (std::int64_t item = begin; item < end; ++item) {
                             const std::int64_t first = item * kSumColumns;
                             add_columns_of_b(args, scratch, first,
                                              std::min(kSumColumns, scratch.n_out - first),
                                              scratch.sums + thread * scratch.sums_of_thread());
                           }
                         });
}

void run(const KernelArgs& args, Scratch& scratch) {
  const AdapterPlace& place = scratch.rows.place();
  const float* all = args.data(parameters);
  const bool is_dora = place.is_dora != 0;
  scratch.rows.prepare(args, all + place.a);
  adapter_factors(is_dora ? all + place.m : nullptr,
                  is_dora ? args.data(norms) + place.norm : nullptr, scratch.n_out,
                  scratch.factors);
  gradients_of_rows(args, scratch);
  add_to_a(args, scratch);
  add_to_b(args, scratch);
}

}  // namespace

const CpuKernel simd_adapter_backward = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
