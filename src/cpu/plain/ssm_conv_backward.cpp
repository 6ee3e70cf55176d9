//   g_a[r, e] = g_u[r, e] * silu'(a[r, e]);  g_v[r, e] = sum_k taps[e, k] * g_a[r + K-1-k, e]
// Rows of g_a behind the segment come from the carry.
#include "ops/ssm_conv_backward.h"

#include <algorithm>

#include "cpu/plain/formulas/conv.h"
#include "cpu/products.h"
#include "cpu/segment_carry.h"

namespace bitaxon::cpu {
namespace {

using namespace ssm_conv_backward_operand;

struct Scratch {
  std::int64_t channel_rows;
  float* taps;  ///< [E, K]
  float* bias;  ///< [E]
  float* g_a;   ///< [n_threads, R + K-1]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : channel_rows(node.shape(vz)[0] + node.shape(conv_weight)[2] - 1),
        taps(layout.take<float>(node.shape(conv_weight).elements())),
        bias(layout.take<float>(node.shape(conv_weight)[1])),
        g_a(layout.take<float>(n_threads * channel_rows)) {}
};

void run(const KernelArgs& args, const Scratch& scratch) {
  const std::int64_t d_inner = args.shape(g_u)[1];
  const std::int64_t d_conv = args.shape(conv_weight)[2];
  decode_all(args.weight(conv_weight), scratch.taps);
  decode_or_zeros(args, conv_bias, scratch.bias, d_inner);
  for (const SegmentWords& segment : args.segments()) {
    const float* tail_in =
        segment.position == 0 ? nullptr : args.state(tail, segment, segment.read_version);
    const SegmentCarry carried = carry_of(args, carry, segment);
    const float* rows = args.data(vz) + segment.first_row * 2 * d_inner;
    float* out = args.data(g_vz) + segment.first_row * 2 * d_inner;
    args.pool.parallel_for(d_inner, segment.n_rows * (4 * d_conv + 30),
                           [&](std::int64_t begin, std::int64_t end, int thread) {
                             for (std::int64_t e = begin; e < end; ++e) {
                               const formulas::ConvChannel<float> channel{
                                   segment.n_rows,
                                   d_conv,
                                   scratch.taps + e * d_conv,
                                   static_cast<double>(scratch.bias[e]),
                                   {rows + e, 2 * d_inner},
                                   {tail_in == nullptr ? nullptr : tail_in + e, d_inner}};
                               channel.backward(
                                   {args.data(g_u) + segment.first_row * d_inner + e, d_inner},
                                   {carried.in == nullptr ? nullptr : carried.in + e, d_inner},
                                   {out + e, 2 * d_inner},
                                   {carried.out == nullptr ? nullptr : carried.out + e, d_inner},
                                   scratch.g_a + thread * scratch.channel_rows);
                             }
                           });
    for (std::uint32_t i = 0; i < segment.n_rows; ++i)
      std::copy_n(args.data(g_z) + (segment.first_row + i) * d_inner, d_inner,
                  out + (2 * i + 1) * d_inner);
  }
}

}  // namespace

const CpuKernel ssm_conv_backward_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
