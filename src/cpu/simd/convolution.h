// The vectorized convolution of ssm_in and ssm_conv, for some rows and channels of one segment.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/align.h"
#include "cpu/kernel.h"

namespace bitaxon::cpu {

/// The numbers of channels and rows of one work item. For one row of kConvChannels channels, the
/// inputs (the earlier rows and the taps) fit in the first-level cache.
inline constexpr std::int64_t kConvChannels = 512;
inline constexpr std::int64_t kConvRows = 16;

/// All pointers point to the first of the channels. Those to rows also point to the first row of the
/// segment.
struct Convolution {
  const float* v;     ///< rows are v_stride apart
  const float* taps;  ///< [K]; rows are d_inner apart
  const float* bias;
  const float* tail;  ///< [K - 1], oldest row first; nullptr if all rows are zero
  float* u;           ///< rows are d_inner apart
  std::int64_t first_row, n_rows, n_channels, d_inner, d_conv, v_stride;
};

/// Calls compute(first row, first channel, number of rows, number of channels) for each work item of
/// a segment.
template <class Compute>
void for_each_conv_item(const KernelArgs& args, std::int64_t n_rows, std::int64_t d_inner,
                        const Compute& compute) {
  const std::int64_t n_strips = divide_up(d_inner, kConvChannels);
  const std::int64_t n_blocks = divide_up(n_rows, kConvRows);
  args.pool.parallel_for(n_blocks * n_strips, std::min(kConvRows, n_rows) * kConvChannels * 4,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t item = begin; item < end; ++item) {
                             const std::int64_t e = item % n_strips * kConvChannels;
                             const std::int64_t first = item / n_strips * kConvRows;
                             compute(first, e, std::min(kConvRows, n_rows - first),
                                     std::min(kConvChannels, d_inner - e));
                           }
                         });
}

/// Stores the new tail: the last n_kept rows of the old tail followed by `v`. Rows are copied in
/// ascending order, because both tails may be the same memory. Row j + n_rows of the old tail is
/// then read before it is overwritten.
inline void keep_tail(const float* v, std::int64_t v_stride, const float* tail, std::int64_t n_rows,
                      std::int64_t n_kept, std::int64_t d_inner, float* to) {
  for (std::int64_t j = 0; j < n_kept; ++j) {
    const std::int64_t row = n_rows - n_kept + j;
    float* kept = to + j * d_inner;
    if (row >= 0)
      std::copy_n(v + row * v_stride, d_inner, kept);
    else if (tail == nullptr)
      std::fill_n(kept, d_inner, 0.0F);
    else if (const float* from = tail + (n_kept + row) * d_inner; from != kept)
      std::copy_n(from, d_inner, kept);
  }
}

}  // namespace bitaxon::cpu
