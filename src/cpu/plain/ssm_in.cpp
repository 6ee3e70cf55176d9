//   v, z = split(in_proj @ rms(x) + in_bias)
//   u[r, e] = silu(bias[e] + sum_k taps[e, k] * v[r - (K-1) + k, e]), older rows from the tail
#include "ops/ssm_in.h"

#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* norm;    ///< [D]
  float* normed;  ///< [R, D]
  float* rows;    ///< [n_threads, D]
  float* v;       ///< [R, E]
  float* added;   ///< [2E]: the bias of in_proj
  float* taps;    ///< [E, K]
  float* bias;    ///< [E]: the bias of the convolution

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads) {
    const std::int64_t n_rows = node.shape(ssm_in_operand::x)[0];
    const std::int64_t d_model = node.shape(ssm_in_operand::x)[1];
    const std::int64_t d_inner = node.shape(ssm_in_operand::conv_weight)[1];
    const std::int64_t d_conv = node.shape(ssm_in_operand::conv_weight)[2];
    norm = layout.take<float>(d_model);
    normed = layout.take<float>(n_rows * d_model);
    rows = layout.take<float>(n_threads * d_model);
    v = layout.take<float>(n_rows * d_inner);
    added = layout.take<float>(2 * d_inner);
    taps = layout.take<float>(d_inner * d_conv);
    bias = layout.take<float>(d_inner);
  }
};

/// Computes one channel of one segment: first the convolution over the rows of the segment, then
/// the new tail. `v` and `u` point to the channel in the first row of the segment. Their rows are
/// d_inner elements apart.
void convolve_channel(const float* v, const float* taps, float bias, std::int64_t n_rows,
                      std::int64_t d_inner, std::int64_t d_conv, const float* tail_in,
                      float* tail_out, float* u) {
  // Row `row` of v. A negative row lies before the segment and comes from the old tail.
  const auto row_of_v = [&](std::int64_t row) {
    if (row >= 0) return v[row * d_inner];
    return tail_in == nullptr ? 0.0F : tail_in[(d_conv - 1 + row) * d_inner];
  };
  for (std::int64_t r = 0; r < n_rows; ++r) {
    double sum = static_cast<double>(bias);
    for (std::int64_t k = 0; k < d_conv; ++k)
      sum += static_cast<double>(taps[k]) * static_cast<double>(row_of_v(r - (d_conv - 1) + k));
    u[r * d_inner] = static_cast<float>(silu(sum));
  }
  if (tail_out == nullptr) return;
  // Rows are copied in ascending order, because both tails may be the same memory. Row j + n_rows
  // of the old tail is then read before it is overwritten.
  for (std::int64_t j = 0; j < d_conv - 1; ++j)
    tail_out[j * d_inner] = row_of_v(n_rows - (d_conv - 1) + j);
}

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace ssm_in_operand;
  const PackedWeight& projection = args.weight(in_proj);
  const std::int64_t d_model = projection.desc.cols;
  const std::int64_t d_inner = args.shape(u)[1];
  const std::int64_t d_conv = args.weight(conv_weight).desc.cols;
  const float* normed = args.data(x);
  if (args.has(norm)) {
    rms_norm_rows(args, normed, args.weight(norm), args.params<SsmInParams>().eps, args.n_rows(),
                  d_model, scratch.norm, scratch.normed);
    normed = scratch.normed;
  }
  if (args.has(in_bias)) decode_all(args.weight(in_bias), scratch.added);
  float* gate = args.data(z);
  for_each_product(
      args, projection, 0, args.n_rows(), scratch.rows,
      [&](std::int64_t r) { return normed + r * d_model; },
      [&](std::int64_t r, std::int64_t o, double product) {
        float* out = o < d_inner ? scratch.v + r * d_inner + o : gate + r * d_inner + o - d_inner;
        if (args.has(in_bias)) product += static_cast<double>(scratch.added[o]);
        *out = static_cast<float>(product);
      });
  decode_all(args.weight(conv_weight), scratch.taps);
  decode_or_zeros(args, conv_bias, scratch.bias, d_inner);
  for (const SegmentWords& segment : args.segments()) {
    const float* tail_in =
        segment.position == 0 ? nullptr : args.state(tail, segment, segment.read_version);
    float* tail_out =
        segment.keeps_state == 0 ? nullptr : args.state(tail, segment, segment.write_version);
    const std::int64_t first = segment.first_row * d_inner;
    args.pool.parallel_for(d_inner, segment.n_rows * (2 * d_conv + 20),
                           [&](std::int64_t begin, std::int64_t end, int) {
                             for (std::int64_t e = begin; e < end; ++e)
                               convolve_channel(scratch.v + first + e, scratch.taps + e * d_conv,
                                                scratch.bias[e], segment.n_rows, d_inner, d_conv,
                                                tail_in == nullptr ? nullptr : tail_in + e,
                                                tail_out == nullptr ? nullptr : tail_out + e,
                                                args.data(u) + first + e);
                           });
  }
}

}  // namespace

const CpuKernel ssm_in_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
