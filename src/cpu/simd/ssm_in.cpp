//   v, z = split(in_proj @ rms(x) + in_bias)
//   u[r, e] = silu(bias[e] + sum_k taps[e, k] * v[r - (K-1) + k, e]), older rows from the tail
#include "ops/ssm_in.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/ssm_in.cpp"
#include "cpu/simd/each_target.h"
// The rest must follow each_target.h.
#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"
#include "cpu/simd/vector_math-inl.h"

#ifndef BX_CONVOLUTION
#define BX_CONVOLUTION
namespace bitaxon::cpu {

/// The convolution of some rows and channels of one segment. All pointers point to the first of
/// these channels. `v` and `u` also point to the first row of the segment.
struct Convolution {
  const float* v;     ///< the rows of v and u are d_inner apart
  const float* taps;  ///< [K]; rows are d_inner apart
  const float* bias;
  const float* tail;  ///< [K - 1], oldest row first; nullptr if all rows are zero
  float* u;
  std::int64_t first_row, n_rows, n_channels, d_inner, d_conv;
};

}  // namespace bitaxon::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

/// Computes channels [begin, end) in vectors of type D. Goes row by row, because channels are
/// adjacent in memory, but rows are far apart.
template <class D>
void convolve_lanes(D d, const Convolution& conv, std::int64_t begin, std::int64_t end) {
  using V = hn::Vec<D>;
  const std::int64_t lanes = hn::MaxLanes(d);
  for (std::int64_t r = conv.first_row; r < conv.first_row + conv.n_rows; ++r)
    for (std::int64_t e = begin; e < end; e += lanes) {
      V sum = hn::LoadU(d, conv.bias + e);
      for (std::int64_t k = 0; k < conv.d_conv; ++k) {
        const std::int64_t row = r - (conv.d_conv - 1) + k;
        const V v = row >= 0 ? hn::LoadU(d, conv.v + row * conv.d_inner + e)
                    : conv.tail == nullptr
                        ? hn::Zero(d)
                        : hn::LoadU(d, conv.tail + (conv.d_conv - 1 + row) * conv.d_inner + e);
        sum = hn::MulAdd(hn::LoadU(d, conv.taps + k * conv.d_inner + e), v, sum);
      }
      hn::StoreU(silu_of(d, sum), d, conv.u + r * conv.d_inner + e);
    }
}

void convolve(const Convolution& conv) {
  const hn::CappedTag<float, 16> d;
  const std::int64_t lanes = hn::MaxLanes(d);
  const std::int64_t whole = conv.n_channels / lanes * lanes;
  convolve_lanes(d, conv, 0, whole);
  convolve_lanes(hn::CappedTag<float, 1>(), conv, whole, conv.n_channels);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitaxon::cpu {
namespace {

HWY_EXPORT(convolve);

using namespace ssm_in_operand;

/// The numbers of channels and rows of one work item. For one row of kChannels channels, the inputs
/// (the earlier rows and the taps) fit in the first-level cache.
constexpr std::int64_t kChannels = 512;
constexpr std::int64_t kRows = 16;

struct Scratch {
  std::int64_t max_rows, d_model, d_inner, d_conv;
  float* normed;  ///< [R, D]
  float* v;       ///< [R, E]
  MatrixRows rows;
  TileMemory memory;
  float* in_bias;  ///< [2E]: the decoded bias; not used if the bias is stored by columns
  float* taps;     ///< [K, E]
  float* bias;     ///< [E]: of the convolution, as in_bias

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : max_rows(node.shape(x)[0]),
        d_model(node.shape(x)[1]),
        d_inner(node.shape(conv_weight)[1]),
        d_conv(node.shape(conv_weight)[2]),
        normed(layout.take<float>(max_rows * d_model)),
        v(layout.take<float>(max_rows * d_inner)),
        rows(layout, max_rows, d_model),
        memory(layout, max_rows, d_model, 1, n_threads),
        in_bias(layout.take<float>(node.has(ssm_in_operand::in_bias) ? 2 * d_inner : 0)),
        taps(layout.take<float>(d_conv * d_inner)),
        bias(layout.take<float>(d_inner)) {}
};

/// Stores the new tail: the last n_kept rows of the old tail followed by `v`. Rows are copied in
/// ascending order, because both tails may be the same memory. Row j + n_rows of the old tail is
/// then read before it is overwritten.
void keep_tail(const float* v, const float* tail, std::int64_t n_rows, std::int64_t n_kept,
               std::int64_t d_inner, float* to) {
  for (std::int64_t j = 0; j < n_kept; ++j) {
    const std::int64_t row = n_rows - n_kept + j;
    float* kept = to + j * d_inner;
    if (row >= 0)
      std::copy_n(v + row * d_inner, d_inner, kept);
    else if (tail == nullptr)
      std::fill_n(kept, d_inner, 0.0F);
    else if (const float* from = tail + (n_kept + row) * d_inner; from != kept)
      std::copy_n(from, d_inner, kept);
  }
}

void run(const KernelArgs& args, Scratch& scratch) {
  const PackedWeight& projection = args.weight(in_proj);
  const std::int64_t d_model = scratch.d_model;
  const std::int64_t d_inner = scratch.d_inner;
  const std::int64_t d_conv = scratch.d_conv;
  const std::int64_t n_rows = args.n_rows();
  const float* source = args.data(x);
  if (args.has(norm)) {
    norm_rows(args, source, args.weight(norm), args.params<SsmInParams>().eps, n_rows, d_model,
              scratch.normed);
    source = scratch.normed;
  }
  scratch.rows.prepare(args, source, n_rows, args.precision, {&projection});
  const float* added =
      args.has(in_bias) ? columns_of(args.weight(in_bias), scratch.in_bias) : nullptr;
  float* gate = args.data(z);
  for_each_tile(
      args, {&projection}, scratch.rows, n_rows, scratch.memory,
      [&](int, std::int64_t r, std::int64_t first, const float* values, std::int64_t count) {
        // The outputs of a tile may belong to v, to z or to both.
        const std::int64_t n_v = std::clamp<std::int64_t>(d_inner - first, 0, count);
        float* of_v = scratch.v + r * d_inner + first;
        float* of_z = gate + r * d_inner + first - d_inner;
        std::copy_n(values, n_v, of_v);
        std::copy_n(values + n_v, count - n_v, of_z + n_v);
        if (added == nullptr) return;
        for (std::int64_t i = 0; i < count; ++i) (i < n_v ? of_v : of_z)[i] += added[first + i];
      });
  const float* taps = columns_of(args.weight(conv_weight), scratch.taps);
  const float* bias = columns_or_zeros(args, conv_bias, d_inner, scratch.bias);
  for (const SegmentWords& segment : args.segments()) {
    const float* tail_in =
        segment.position == 0 ? nullptr : args.state(tail, segment, segment.read_version);
    const std::int64_t row = segment.first_row * d_inner;
    const std::int64_t n_strips = divide_up(d_inner, kChannels);
    const std::int64_t n_blocks = divide_up<std::int64_t>(segment.n_rows, kRows);
    args.pool.parallel_for(n_blocks * n_strips,
                           std::min<std::int64_t>(kRows, segment.n_rows) * kChannels * 4,
                           [&](std::int64_t begin, std::int64_t end, int) {
                             for (std::int64_t item = begin; item < end; ++item) {
                               const std::int64_t e = item % n_strips * kChannels;
                               const std::int64_t first = item / n_strips * kRows;
                               HWY_DYNAMIC_DISPATCH(convolve)
                               ({.v = scratch.v + row + e,
                                 .taps = taps + e,
                                 .bias = bias + e,
                                 .tail = tail_in == nullptr ? nullptr : tail_in + e,
                                 .u = args.data(u) + row + e,
                                 .first_row = first,
                                 .n_rows = std::min(kRows, segment.n_rows - first),
                                 .n_channels = std::min(kChannels, d_inner - e),
                                 .d_inner = d_inner,
                                 .d_conv = d_conv});
                             }
                           });
    if (segment.keeps_state != 0)
      keep_tail(scratch.v + row, tail_in, segment.n_rows, d_conv - 1, d_inner,
                args.state(tail, segment, segment.write_version));
  }
}

}  // namespace

const CpuKernel simd_ssm_in = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
#endif
