//   u[r, e] = silu(bias[e] + sum_k taps[e, k] * v[r - (K-1) + k, e]), older rows from the tail
#include "ops/ssm_conv.h"

#include <algorithm>

#include "cpu/plain/formulas/conv.h"
#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

using namespace ssm_conv_operand;

struct Scratch {
  float* taps;  ///< [E, K]
  float* bias;  ///< [E]

  Scratch(ScratchLayout& layout, const NodeView& node, int) {
    taps = layout.take<float>(node.shape(conv_weight).elements());
    bias = layout.take<float>(node.shape(conv_weight)[1]);
  }
};

/// Copies rows in ascending order, because both tails may be the same memory. Row j + n_rows of the
/// old tail is then read before it is overwritten.
void keep_tail(const formulas::ConvChannel<float>& channel,
               const formulas::ChannelRows<float>& tail_out) {
  for (std::int64_t j = 0; j < channel.n_taps - 1; ++j)
    tail_out[j] = channel.v_at(channel.n_rows - (channel.n_taps - 1) + j);
}

void run(const KernelArgs& args, const Scratch& scratch) {
  const std::int64_t d_inner = args.shape(u)[1];
  const std::int64_t d_conv = args.shape(conv_weight)[2];
  decode_all(args.weight(conv_weight), scratch.taps);
  decode_or_zeros(args, conv_bias, scratch.bias, d_inner);
  for (const SegmentWords& segment : args.segments()) {
    const float* tail_in =
        segment.position == 0 ? nullptr : args.state(tail, segment, segment.read_version);
    float* tail_out =
        segment.keeps_state == 0 ? nullptr : args.state(tail, segment, segment.write_version);
    const float* rows = args.data(vz) + segment.first_row * 2 * d_inner;
    float* out = args.data(u) + segment.first_row * d_inner;
    args.pool.parallel_for(d_inner, segment.n_rows * (2 * d_conv + 20),
                           [&](std::int64_t begin, std::int64_t end, int) {
                             for (std::int64_t e = begin; e < end; ++e) {
                               const formulas::ConvChannel<float> channel{
                                   segment.n_rows,
                                   d_conv,
                                   scratch.taps + e * d_conv,
                                   static_cast<double>(scratch.bias[e]),
                                   {rows + e, 2 * d_inner},
                                   {tail_in == nullptr ? nullptr : tail_in + e, d_inner}};
                               channel.forward({out + e, d_inner});
                               if (tail_out != nullptr) keep_tail(channel, {tail_out + e, d_inner});
                             }
                           });
    for (std::uint32_t i = 0; i < segment.n_rows; ++i)
      std::copy_n(rows + (2 * i + 1) * d_inner, d_inner,
                  args.data(z) + (segment.first_row + i) * d_inner);
  }
}

}  // namespace

const CpuKernel ssm_conv_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
