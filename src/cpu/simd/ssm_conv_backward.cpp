//   g_a[r, e] = g_u[r, e] * silu'(a[r, e]);  g_v[r, e] = sum_k taps[e, k] * g_a[r + K-1-k, e]
// Rows of g_a behind the segment come from the carry.
#include "ops/ssm_conv_backward.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/ssm_conv_backward.cpp"
#include "cpu/simd/each_target.h"
// The rest must follow each_target.h.
#include "cpu/segment_carry.h"
#include "cpu/simd/convolution_lanes-inl.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

/// conv.u receives g_a.
void find_slopes(const Convolution& conv, const float* g_u) {
  for_each_vector(conv, [&](auto d, std::int64_t r, std::int64_t e) HWY_ATTR {
    const auto a = conv_sum(d, conv, r, e);
    const auto one = hn::Set(d, 1.0F);
    // s = sigmoid(a) and 1 - s = sigmoid(-a), both without cancellation.
    const auto s = hn::Div(one, hn::Add(one, exp_of(d, hn::Neg(a))));
    const auto rest = hn::Div(one, hn::Add(one, exp_of(d, a)));
    const auto slope = hn::MulAdd(hn::Mul(s, a), rest, s);
    hn::StoreU(hn::Mul(hn::LoadU(d, g_u + r * conv.d_inner + e), slope), d,
               conv.u + r * conv.d_inner + e);
  });
}

/// conv.u receives g_v, whose rows are v_stride apart.
/// g_a   points to the first row of the segment; rows are d_inner apart
/// carry  the rows of g_a from row n_of_segment on; nullptr for zeros
void convolve_back(const Convolution& conv, const float* g_a, std::int64_t n_of_segment,
                   const float* carry) {
  for_each_vector(conv, [&](auto d, std::int64_t r, std::int64_t e) HWY_ATTR {
    auto sum = hn::Zero(d);
    for (std::int64_t k = 0; k < conv.d_conv; ++k) {
      const std::int64_t row = r + conv.d_conv - 1 - k;
      if (row >= n_of_segment && carry == nullptr) continue;
      const float* from = row < n_of_segment ? g_a + row * conv.d_inner
                                             : carry + (row - n_of_segment) * conv.d_inner;
      sum = hn::MulAdd(hn::LoadU(d, conv.taps + k * conv.d_inner + e), hn::LoadU(d, from + e), sum);
    }
    hn::StoreU(sum, d, conv.u + r * conv.v_stride + e);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitaxon::cpu {
namespace {

HWY_EXPORT(find_slopes);
HWY_EXPORT(convolve_back);

using namespace ssm_conv_backward_operand;

struct Scratch {
  float* taps;  ///< [K, E]: decoded; not used if the weight is stored by columns
  float* bias;  ///< [E]: the same
  float* g_a;   ///< [R, E]

  Scratch(ScratchLayout& layout, const NodeView& node, int)
      : taps(layout.take<float>(node.shape(conv_weight).elements())),
        bias(layout.take<float>(node.shape(conv_weight)[1])),
        g_a(layout.take<float>(node.shape(g_u).elements())) {}
};

/// Stores the new carry: the first n_kept rows of g_a followed by the old carry. Rows are copied in
/// descending order, because both carries may be the same memory.
void keep_carry(const float* g_a, const SegmentCarry& carried, std::int64_t n_rows,
                std::int64_t n_kept, std::int64_t d_inner) {
  for (std::int64_t j = n_kept; j-- > 0 && carried.out != nullptr;) {
    float* kept = carried.out + j * d_inner;
    if (j < n_rows)
      std::copy_n(g_a + j * d_inner, d_inner, kept);
    else if (carried.in == nullptr)
      std::fill_n(kept, d_inner, 0.0F);
    else
      std::copy_n(carried.in + (j - n_rows) * d_inner, d_inner, kept);
  }
}

void run(const KernelArgs& args, const Scratch& scratch) {
  const std::int64_t d_inner = args.shape(g_u)[1];
  const std::int64_t d_conv = args.shape(conv_weight)[2];
  const float* taps = columns_of(args.weight(conv_weight), scratch.taps);
  const float* bias = columns_or_zeros(args, conv_bias, d_inner, scratch.bias);
  for (const SegmentWords& segment : args.segments()) {
    const float* tail_in =
        segment.position == 0 ? nullptr : args.state(tail, segment, segment.read_version);
    const SegmentCarry carried = carry_of(args, carry, segment);
    const std::int64_t row = segment.first_row * d_inner;
    const auto part = [&](std::int64_t first, std::int64_t e, std::int64_t n_rows,
                          std::int64_t n_channels, float* out) {
      return Convolution{.v = args.data(vz) + 2 * row + e,
                         .taps = taps + e,
                         .bias = bias + e,
                         .tail = tail_in == nullptr ? nullptr : tail_in + e,
                         .u = out + e,
                         .first_row = first,
                         .n_rows = n_rows,
                         .n_channels = n_channels,
                         .d_inner = d_inner,
                         .d_conv = d_conv,
                         .v_stride = 2 * d_inner};
    };
    for_each_conv_item(
        args, segment.n_rows, d_inner,
        [&](std::int64_t first, std::int64_t e, std::int64_t n_rows, std::int64_t n) {
          HWY_DYNAMIC_DISPATCH(find_slopes)
          (part(first, e, n_rows, n, scratch.g_a + row), args.data(g_u) + row + e);
        });
    float* out = args.data(g_vz) + 2 * row;
    for_each_conv_item(
        args, segment.n_rows, d_inner,
        [&](std::int64_t first, std::int64_t e, std::int64_t n_rows, std::int64_t n) {
          HWY_DYNAMIC_DISPATCH(convolve_back)
          (part(first, e, n_rows, n, out), scratch.g_a + row + e, segment.n_rows,
           carried.in == nullptr ? nullptr : carried.in + e);
          for (std::int64_t r = first; r < first + n_rows; ++r)
            std::copy_n(args.data(g_z) + row + r * d_inner + e, n, out + (2 * r + 1) * d_inner + e);
        });
    keep_carry(scratch.g_a + row, carried, segment.n_rows, d_conv - 1, d_inner);
  }
}

}  // namespace

const CpuKernel simd_ssm_conv_backward = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
#endif
