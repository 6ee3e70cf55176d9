// Arithmetic that several kernels share: decoded weight rows, dot products, RMS norm, SiLU.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "cpu/kernel.h"

namespace bitaxon::cpu {

/// sum_i a[i] * b[i], accumulated in float64 in an order that depends only on n.
double dot(const float* a, const float* b, std::int64_t n);

/// out[c] = weight[c] * x[c] / sqrt(mean(x^2) + eps), computed in float64 and rounded once.
void rms_norm(const float* x, const float* weight, float eps, std::int64_t cols, float* out);

inline double silu(double x) { return x / (1.0 + std::exp(-x)); }

/// Applies the RMS norm to the first n_rows rows of x and writes the results to out.
/// weight_scratch  [cols]: receives the decoded weight of the norm
void rms_norm_rows(const KernelArgs& args, const float* x, const PackedWeight& norm, float eps,
                   std::int64_t n_rows, std::int64_t cols, float* weight_scratch, float* out);

/// Decodes an optional vector of n elements. An absent vector gives zeros.
void decode_or_zeros(const KernelArgs& args, int operand, float* out, std::int64_t n);

/// Calls store(r, o, dot(w[o], x_row(r))) for every row o of one matrix and every r in [0, n_rows).
/// Decodes each weight row once and uses it for all rows of x. Threads share the rows of the
/// matrix.
/// row_scratch  [n_threads, cols]
template <class XRow, class Store>
void for_each_product(const KernelArgs& args, const PackedWeight& weight, std::int64_t matrix,
                      std::int64_t n_rows, float* row_scratch, const XRow& x_row,
                      const Store& store) {
  const std::int64_t cols = weight.desc.cols;
  args.pool.parallel_for(weight.desc.rows, 2 * cols * n_rows,
                         [&](std::int64_t begin, std::int64_t end, int thread) {
                           float* w = row_scratch + thread * cols;
                           for (std::int64_t o = begin; o < end; ++o) {
                             decode_row(weight, matrix, o, w);
                             for (std::int64_t r = 0; r < n_rows; ++r)
                               store(r, o, dot(w, x_row(r), cols));
                           }
                         });
}

/// Applies one pair of SwiGLU matrices to n rows: reads x_row(i) [D], writes y_row(i) [I].
///   y_row(i)[o] = silu(gate[o] . x_row(i)) * (up[o] . x_row(i))
/// row_scratch  [n_threads, 2, D]
template <class XRow, class YRow>
void swiglu_rows(const KernelArgs& args, const PackedWeight& gate, const PackedWeight& up,
                 std::int64_t matrix, std::int64_t n, float* row_scratch, const XRow& x_row,
                 const YRow& y_row) {
  const std::int64_t cols = gate.desc.cols;
  args.pool.parallel_for(
      gate.desc.rows, 4 * cols * n, [&](std::int64_t begin, std::int64_t end, int thread) {
        float* g = row_scratch + thread * 2 * cols;
        float* u = g + cols;
        for (std::int64_t o = begin; o < end; ++o) {
          decode_row(gate, matrix, o, g);
          decode_row(up, matrix, o, u);
          for (std::int64_t i = 0; i < n; ++i)
            y_row(i)[o] = static_cast<float>(silu(dot(g, x_row(i), cols)) * dot(u, x_row(i), cols));
        }
      });
}

}  // namespace bitaxon::cpu
