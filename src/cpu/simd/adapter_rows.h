// What the vectorized kernels of adapter and adapter_backward share.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/kernel.h"
#include "cpu/plain/formulas/adapter.h"
#include "cpu/simd/gradient_rows.h"

namespace bitaxon::cpu {

/// The parameters of a layer, with A as [rank, in], and the rows that the adapter multiplies.
class AdapterRows {
 public:
  /// `x` is the operand of the rows.
  AdapterRows(ScratchLayout& layout, const NodeView& node, int x)
      : x_(x),
        n_in_(node.shape(x)[1]),
        place_(node.params<AdapterPlace>()),
        a_(layout.take<float>(n_in_ * place_.rank)),
        u_(layout.take<float>(node.shape(x)[0] * place_.rank)) {}

  /// Transposes A, and computes u = x A.
  void prepare(const KernelArgs& args, const float* a) {
    const std::int64_t rank = place_.rank;
    args.pool.parallel_for(n_in_, rank, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t i = begin; i < end; ++i)
        for (std::int64_t k = 0; k < rank; ++k) a_[k * n_in_ + i] = a[i * rank + k];
    });
    rows_ = args.data(x_);
    args.pool.parallel_for(args.valid_rows(x_), 2 * rank * n_in_,
                           [&](std::int64_t begin, std::int64_t end, int) {
                             for (std::int64_t r = begin; r < end; ++r)
                               dots_of(row(r), a_, rank, n_in_, 1, u_ + r * rank);
                           });
  }

  const AdapterPlace& place() const { return place_; }
  const float* row(std::int64_t r) const { return rows_ + r * n_in_; }
  /// A as [rank, in].
  const float* a() const { return a_; }
  /// Row r of u [R, rank].
  const float* u(std::int64_t r) const { return u_ + r * place_.rank; }

 private:
  int x_;
  std::int64_t n_in_;
  AdapterPlace place_;
  float* a_;
  float* u_;
  const float* rows_ = nullptr;
};

/// factors[o] = m[o] / n[o], which is 1 where n is 0. `m` and `n` are nullptr for LoRA.
inline void adapter_factors(const float* m, const float* n, std::int64_t n_out, float* factors) {
  for (std::int64_t o = 0; o < n_out; ++o)
    factors[o] = m == nullptr || n[o] == 0 ? 1.0F : m[o] / n[o];
}

}  // namespace bitaxon::cpu
