//   v, z = split(in_proj @ rms(x) + in_bias)
//   u[r, e] = silu(bias[e] + sum_k taps[e, k] * v[r - (K-1) + k, e]), older rows from the tail
#include "ops/ssm_in.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/ssm_in.cpp"
#include "cpu/simd/each_target.h"
// The rest must follow each_target.h.
#include "cpu/simd/convolution_lanes-inl.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"

#if HWY_ONCE
namespace bitaxon::cpu {
namespace {

HWY_EXPORT(convolve);

using namespace ssm_in_operand;

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
    for_each_conv_item(
        args, segment.n_rows, d_inner,
        [&](std::int64_t first, std::int64_t e, std::int64_t n_of_rows, std::int64_t n_channels) {
          HWY_DYNAMIC_DISPATCH(convolve)
          ({.v = scratch.v + row + e,
            .taps = taps + e,
            .bias = bias + e,
            .tail = tail_in == nullptr ? nullptr : tail_in + e,
            .u = args.data(u) + row + e,
            .first_row = first,
            .n_rows = n_of_rows,
            .n_channels = n_channels,
            .d_inner = d_inner,
            .d_conv = d_conv,
            .v_stride = d_inner});
        });
    if (segment.keeps_state != 0)
      keep_tail(scratch.v + row, d_inner, tail_in, segment.n_rows, d_conv - 1, d_inner,
                args.state(tail, segment, segment.write_version));
  }
}

}  // namespace

const CpuKernel simd_ssm_in = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
#endif
