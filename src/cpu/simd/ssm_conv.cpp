//   u[r, e] = silu(bias[e] + sum_k taps[e, k] * v[r - (K-1) + k, e]), older rows from the tail
#include "ops/ssm_conv.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/ssm_conv.cpp"
#include "cpu/simd/each_target.h"
// The rest must follow each_target.h.
#include "cpu/simd/convolution_lanes-inl.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"

#if HWY_ONCE
namespace bitaxon::cpu {
namespace {

HWY_EXPORT(convolve);

using namespace ssm_conv_operand;

struct Scratch {
  float* taps;  ///< [K, E]: decoded; not used if the weight is stored by columns
  float* bias;  ///< [E]: the same

  Scratch(ScratchLayout& layout, const NodeView& node, int)
      : taps(layout.take<float>(node.shape(conv_weight).elements())),
        bias(layout.take<float>(node.shape(conv_weight)[1])) {}
};

void run(const KernelArgs& args, const Scratch& scratch) {
  const std::int64_t d_inner = args.shape(u)[1];
  const std::int64_t d_conv = args.shape(conv_weight)[2];
  const float* taps = columns_of(args.weight(conv_weight), scratch.taps);
  const float* bias = columns_or_zeros(args, conv_bias, d_inner, scratch.bias);
  for (const SegmentWords& segment : args.segments()) {
    const float* tail_in =
        segment.position == 0 ? nullptr : args.state(tail, segment, segment.read_version);
    const float* v = args.data(vz) + segment.first_row * 2 * d_inner;
    float* out = args.data(u) + segment.first_row * d_inner;
    float* gate = args.data(z) + segment.first_row * d_inner;
    for_each_conv_item(
        args, segment.n_rows, d_inner,
        [&](std::int64_t first, std::int64_t e, std::int64_t n_rows, std::int64_t n_channels) {
          HWY_DYNAMIC_DISPATCH(convolve)
          ({.v = v + e,
            .taps = taps + e,
            .bias = bias + e,
            .tail = tail_in == nullptr ? nullptr : tail_in + e,
            .u = out + e,
            .first_row = first,
            .n_rows = n_rows,
            .n_channels = n_channels,
            .d_inner = d_inner,
            .d_conv = d_conv,
            .v_stride = 2 * d_inner});
          for (std::int64_t r = first; r < first + n_rows; ++r)
            std::copy_n(v + (2 * r + 1) * d_inner + e, n_channels, gate + r * d_inner + e);
        });
    if (segment.keeps_state != 0)
      keep_tail(v, 2 * d_inner, tail_in, segment.n_rows, d_conv - 1, d_inner,
                args.state(tail, segment, segment.write_version));
  }
}

}  // namespace

const CpuKernel simd_ssm_conv = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
#endif
