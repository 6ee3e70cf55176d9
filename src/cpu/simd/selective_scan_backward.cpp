// The gradients of selective_scan. src/cpu/plain/formulas/scan.h has the formula.
#include "ops/selective_scan_backward.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/selective_scan_backward.cpp"
#include "cpu/simd/each_target.h"
// The rest must follow each_target.h.
#include "cpu/plain/formulas/rms_norm.h"
#include "cpu/segment_carry.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"
#include "cpu/simd/scan_back_lanes-inl.h"
#include "cpu/simd/scan_inputs.h"

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

void go_back_all(const BackChannels& c) { back_channels(c); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitaxon::cpu {
namespace {

HWY_EXPORT(go_back_all);

using namespace selective_scan_backward_operand;

struct Scratch {
  std::int64_t n_rows, d_inner, d_state, per_thread, n_blocks;
  BackColumns columns;
  float* dt_weight;  ///< [E]: the decoded weight; used if it is not stored by columns
  float* dt_bias;    ///< [E]: the same for dt_bias
  float* skip;       ///< [E]: the same for skip
  float* norms;      ///< [2, N]: the same for the norms of B and C
  float* bc;         ///< [R, 2, N]: B and C after their norms
  float* memory;     ///< [n_threads, per_thread]
  float* sums;       ///< [n_blocks, R, width]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : n_rows(node.shape(u)[0]),
        d_inner(node.shape(a_log)[1]),
        d_state(node.shape(a_log)[2]),
        per_thread(back_memory_of(n_rows, d_state)),
        n_blocks(divide_up(d_inner, kBackChannels)),
        columns(d_state),
        dt_weight(layout.take<float>(d_inner)),
        dt_bias(layout.take<float>(d_inner)),
        skip(layout.take<float>(d_inner)),
        norms(layout.take<float>(2 * d_state)),
        bc(layout.take<float>(node.has(b_norm) ? n_rows * 2 * d_state : 0)),
        memory(layout.take<float>(n_threads * per_thread)),
        sums(layout.take<float>(n_blocks * n_rows * columns.width())) {}
};

/// All channels of one segment.
BackChannels channels_of(const KernelArgs& args, const Scratch& scratch, const BcRows& bc,
                         const SegmentWords& segment) {
  const ScanColumns columns(args);
  const auto options = args.params<SelectiveScanParams>();
  const SegmentCarry carried = carry_of(args, carry, segment);
  const std::int64_t row = segment.first_row * scratch.d_inner;
  BackChannels c{};
  c.u = args.data(u) + row;
  c.z = args.data(z) + row;
  c.g_y = args.data(g_y) + row;
  c.bc = bc.first + segment.first_row * bc.stride;
  c.bc_stride = bc.stride;
  if (args.has(dt)) {
    c.dt = args.data(dt) + row;
    c.g_dt = args.data(g_dt) + row;
  } else {
    c.rates = args.data(params) + segment.first_row * columns.width + columns.rate;
    c.rate_stride = columns.width;
    c.dt_weight = columns_of(args.weight(dt_weight), scratch.dt_weight);
  }
  c.decays = decays_of(args.weight(a_log));
  c.dt_bias = columns_of(args.weight(dt_bias), scratch.dt_bias);
  c.skip = columns_of(args.weight(skip), scratch.skip);
  c.h = segment.position == 0 ? nullptr : args.state(h, segment, segment.read_version);
  c.carry_in = carried.in;
  c.carry_out = carried.out;
  c.g_u = args.data(g_u) + row;
  c.g_z = args.data(g_z) + row;
  c.n_rows = segment.n_rows;
  c.n_channels = c.d_inner = scratch.d_inner;
  c.d_state = scratch.d_state;
  c.dt_min = options.dt_min;
  c.dt_max = options.dt_max;
  return c;
}

/// The channels of block `block`.
BackChannels block_of(const BackChannels& all, const Scratch& scratch, std::uint32_t first_row,
                      std::int64_t block, int thread) {
  const std::int64_t e = block * kBackChannels;
  BackChannels c = all;
  for (const float* BackChannels::*member :
       {&BackChannels::u, &BackChannels::dt, &BackChannels::z, &BackChannels::g_y,
        &BackChannels::decays, &BackChannels::dt_weight, &BackChannels::dt_bias,
        &BackChannels::skip, &BackChannels::h, &BackChannels::carry_in})
    if (c.*member != nullptr) c.*member += e;
  for (float* BackChannels::*member :
       {&BackChannels::carry_out, &BackChannels::g_u, &BackChannels::g_z, &BackChannels::g_dt})
    if (c.*member != nullptr) c.*member += e;
  c.n_channels = std::min(kBackChannels, all.n_channels - e);
  c.sums = scratch.sums + (block * scratch.n_rows + first_row) * scratch.columns.width();
  c.memory = scratch.memory + thread * scratch.per_thread;
  return c;
}

/// Adds the sums of all blocks in order, and goes back through the norms of B and C.
void finish_row(const KernelArgs& args, const Scratch& scratch, std::int64_t row) {
  const ScanColumns columns(args);
  const std::int64_t n = scratch.d_state;
  const std::int64_t width = scratch.columns.width();
  float* sum = scratch.sums + row * width;  // those of the first block
  for (std::int64_t block = 1; block < scratch.n_blocks; ++block) {
    const float* more = scratch.sums + (block * scratch.n_rows + row) * width;
    for (std::int64_t c = 0; c < width; ++c) sum[c] += more[c];
  }
  float* out = args.data(g_params) + row * columns.width;
  std::fill_n(out, columns.width, 0.0F);
  std::copy_n(sum, n, out + columns.first);
  std::copy_n(sum + scratch.columns.c(), n, out + columns.first + n);
  if (columns.rate >= 0) out[columns.rate] = sum[scratch.columns.r()];
  if (!args.has(b_norm)) return;
  const float* from = args.data(params) + row * columns.width + columns.first;
  const auto eps = static_cast<double>(args.params<SelectiveScanParams>().eps);
  for (std::int64_t part = 0; part < 2; ++part) {
    const float* norm =
        columns_of(args.weight(part == 0 ? b_norm : c_norm), scratch.norms + part * n);
    float* g = out + columns.first + part * n;
    formulas::rms_norm_backward(from + part * n, norm, eps, g, n, g);
  }
}

void run(const KernelArgs& args, const Scratch& scratch) {
  const BcRows bc = find_b_and_c(args, scratch.norms, scratch.bc);
  for (const SegmentWords& segment : args.segments()) {
    const BackChannels all = channels_of(args, scratch, bc, segment);
    args.pool.parallel_for(scratch.n_blocks, segment.n_rows * kBackChannels * all.d_state * 8,
                           [&](std::int64_t begin, std::int64_t end, int thread) {
                             for (std::int64_t block = begin; block < end; ++block)
                               HWY_DYNAMIC_DISPATCH(go_back_all)
                             (block_of(all, scratch, segment.first_row, block, thread));
                           });
  }
  for (std::int64_t row = 0; row < args.n_rows(); ++row) finish_row(args, scratch, row);
}

}  // namespace

const CpuKernel simd_selective_scan_backward = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
#endif
