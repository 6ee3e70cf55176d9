// The gradients of selective_scan. formulas/scan.h has the formula.
#include "ops/selective_scan_backward.h"

#include <algorithm>

#include "cpu/plain/formulas/rms_norm.h"
#include "cpu/plain/formulas/scan.h"
#include "cpu/products.h"
#include "cpu/segment_carry.h"

namespace bitaxon::cpu {
namespace {

using namespace selective_scan_backward_operand;

/// Sums over channels are first computed in blocks of this size. So they do not depend on the number
/// of threads.
constexpr std::int64_t kBlock = 256;

struct Scratch {
  std::int64_t n_rows, d_inner, d_state, n_blocks;
  float* a_log;      ///< [E, N]
  float* dt_weight;  ///< [E]; zeros with dt
  float* dt_bias;    ///< [E]
  float* skip;       ///< [E]
  float* norms;      ///< [2, N]: the weights of the norms of B and C
  float* bc;         ///< [R, 2, N]: B and C after their norms
  float* states;     ///< [n_threads, R + 1, N]
  float* carries;    ///< [n_threads, N]
  double* raw;       ///< [n_threads, R]
  double* sums;      ///< [n_blocks, R, 2N + 1]: the gradients of B, C and r of each block

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : n_rows(node.shape(u)[0]),
        d_inner(node.shape(selective_scan_backward_operand::a_log)[1]),
        d_state(node.shape(selective_scan_backward_operand::a_log)[2]),
        n_blocks(divide_up(d_inner, kBlock)),
        a_log(layout.take<float>(d_inner * d_state)),
        dt_weight(layout.take<float>(d_inner)),
        dt_bias(layout.take<float>(d_inner)),
        skip(layout.take<float>(d_inner)),
        norms(layout.take<float>(2 * d_state)),
        bc(layout.take<float>(n_rows * 2 * d_state)),
        states(layout.take<float>(n_threads * (n_rows + 1) * d_state)),
        carries(layout.take<float>(n_threads * d_state)),
        raw(layout.take<double>(n_threads * n_rows)),
        sums(layout.take<double>(n_blocks * n_rows * width())) {}

  std::int64_t width() const { return 2 * d_state + 1; }
};

/// Copies B and C of all rows, and applies their norms.
void find_b_and_c(const KernelArgs& args, const Scratch& scratch) {
  const ScanColumns columns(args);
  const std::int64_t n = scratch.d_state;
  const float eps = args.params<SelectiveScanParams>().eps;
  for (std::int64_t i = 0; i < 2 * args.n_rows(); ++i) {
    const float* from = args.data(params) + i / 2 * columns.width + columns.first + i % 2 * n;
    if (args.has(b_norm))
      rms_norm(from, scratch.norms + i % 2 * n, eps, n, scratch.bc + i * n);
    else
      std::copy_n(from, n, scratch.bc + i * n);
  }
}

/// The gradients of the channels [begin, end) of one segment, a block of channels.
void run_block(const KernelArgs& args, const Scratch& scratch, const SegmentWords& segment,
               std::int64_t block, int thread) {
  const ScanColumns columns(args);
  const auto options = args.params<SelectiveScanParams>();
  const std::int64_t n = scratch.d_state;
  const std::int64_t stride = scratch.d_inner;
  const std::int64_t first = segment.first_row;
  const SegmentCarry carried = carry_of(args, carry, segment);
  double* sums = scratch.sums + (block * scratch.n_rows + first) * scratch.width();
  std::fill_n(sums, segment.n_rows * scratch.width(), 0.0);
  float* held = scratch.carries + thread * n;
  double* g_raw = scratch.raw + thread * scratch.n_rows;
  const std::int64_t end = std::min(scratch.d_inner, (block + 1) * kBlock);
  for (std::int64_t e = block * kBlock; e < end; ++e) {
    const auto rows = [&](int operand) {
      return formulas::ChannelRows<float>{args.data(operand) + first * stride + e, stride};
    };
    const auto raw = [&](std::int64_t t) {
      if (args.has(dt)) return static_cast<double>(rows(dt)[t]);
      return static_cast<double>(args.data(params)[(first + t) * columns.width + columns.rate]) *
             static_cast<double>(scratch.dt_weight[e]);
    };
    const float* before =
        segment.position == 0 ? nullptr : args.state(h, segment, segment.read_version) + e;
    const formulas::ScanChannel<float> channel{.n_rows = segment.n_rows,
                                               .n_states = n,
                                               .a_log = scratch.a_log + e * n,
                                               .dt_bias = static_cast<double>(scratch.dt_bias[e]),
                                               .skip = static_cast<double>(scratch.skip[e]),
                                               .dt_min = static_cast<double>(options.dt_min),
                                               .dt_max = static_cast<double>(options.dt_max),
                                               .u = {rows(u).first, stride},
                                               .z = {rows(z).first, stride},
                                               .bc = scratch.bc + first * 2 * n,
                                               .bc_stride = 2 * n,
                                               .h = {before, stride}};
    for (std::int64_t i = 0; i < n; ++i)
      held[i] = carried.in == nullptr ? 0.0F : carried.in[i * stride + e];
    channel.backward(raw, {rows(g_y).first, stride}, held,
                     scratch.states + thread * (scratch.n_rows + 1) * n,
                     {rows(g_u), rows(g_z), g_raw, sums, scratch.width()});
    for (std::int64_t i = 0; i < n && carried.out != nullptr; ++i)
      carried.out[i * stride + e] = held[i];
    for (std::int64_t t = 0; t < segment.n_rows; ++t) {
      if (args.has(dt))
        rows(g_dt)[t] = static_cast<float>(g_raw[t]);
      else
        sums[t * scratch.width() + 2 * n] += g_raw[t] * static_cast<double>(scratch.dt_weight[e]);
    }
  }
}

/// Adds the sums of all blocks, and goes back through the norms of B and C.
void finish_row(const KernelArgs& args, const Scratch& scratch, std::int64_t row) {
  const ScanColumns columns(args);
  const std::int64_t n = scratch.d_state;
  const std::int64_t width = scratch.width();
  double* sum = scratch.sums + row * width;  // those of the first block
  for (std::int64_t block = 1; block < scratch.n_blocks; ++block)
    for (std::int64_t c = 0; c < width; ++c)
      sum[c] += scratch.sums[(block * scratch.n_rows + row) * width + c];
  const float* from = args.data(params) + row * columns.width + columns.first;
  const auto eps = static_cast<double>(args.params<SelectiveScanParams>().eps);
  float* out = args.data(g_params) + row * columns.width;
  std::fill_n(out, columns.width, 0.0F);
  for (std::int64_t c = 0; c < 2 * n; ++c) out[columns.first + c] = static_cast<float>(sum[c]);
  if (columns.rate >= 0) out[columns.rate] = static_cast<float>(sum[2 * n]);
  for (std::int64_t part = 0; part < 2 && args.has(b_norm); ++part) {
    float* g = out + columns.first + part * n;
    formulas::rms_norm_backward(from + part * n, scratch.norms + part * n, eps, g, n, g);
  }
}

void run(const KernelArgs& args, const Scratch& scratch) {
  decode_all(args.weight(a_log), scratch.a_log);
  decode_or_zeros(args, dt_weight, scratch.dt_weight, scratch.d_inner);
  decode_all(args.weight(dt_bias), scratch.dt_bias);
  decode_all(args.weight(skip), scratch.skip);
  decode_or_zeros(args, b_norm, scratch.norms, scratch.d_state);
  decode_or_zeros(args, c_norm, scratch.norms + scratch.d_state, scratch.d_state);
  find_b_and_c(args, scratch);
  for (const SegmentWords& segment : args.segments())
    args.pool.parallel_for(scratch.n_blocks, segment.n_rows * kBlock * scratch.d_state * 40,
                           [&](std::int64_t begin, std::int64_t end, int thread) {
                             for (std::int64_t block = begin; block < end; ++block)
                               run_block(args, scratch, segment, block, thread);
                           });
  for (std::int64_t row = 0; row < args.n_rows(); ++row) finish_row(args, scratch, row);
}

}  // namespace

const CpuKernel selective_scan_backward_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
