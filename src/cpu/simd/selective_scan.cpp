//   dt' = clip(softplus(raw + dt_bias)), raw = dt or r * dt_weight;  a = -exp(a_log)
//   h = exp(dt' * a) * h + dt' * u * B;   y = (h . C + skip * u) * silu(z)
//   B and C are RMS-normalized first if there are norms.
#include "ops/selective_scan.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/selective_scan.cpp"
#include "cpu/simd/each_target.h"
// The rest must follow each_target.h.
#include "cpu/memory.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"
#include "cpu/simd/rows.h"
#include "cpu/simd/scan_inputs.h"
#include "cpu/simd/selective_scan_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

/// Scans some channels. Precision "fast" uses short exponentials and logarithms, whose error is
/// about that of rounding to 15 bits.
void scan(const Channels& c, Precision precision) {
  precision == Precision::fast ? scan_in<true>(c) : scan_in<false>(c);
}

/// Computes to[i] = -exp(a_log[i]) * log2(e).
void make_decays(const float* a_log, std::int64_t n, float* to) {
  const hn::CappedTag<float, 1> d;
  for (std::int64_t i = 0; i < n; ++i)
    to[i] = hn::GetLane(exp_of(d, hn::Set(d, a_log[i]))) * -kLog2E;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitaxon::cpu {

HWY_EXPORT(make_decays);

const float* decays_of(const PackedWeight& a_log) {
  std::call_once(a_log.derived.once, [&] {
    const std::int64_t n = a_log.desc.elements();
    auto memory = allocate_lasting(static_cast<std::size_t>(n) * sizeof(float), "decays");
    auto* decays = reinterpret_cast<float*>(memory.get());
    HWY_DYNAMIC_DISPATCH(make_decays)(columns_of(a_log, decays), n, decays);
    a_log.derived.memory = std::move(memory);
  });
  return reinterpret_cast<const float*>(a_log.derived.memory.get());
}

BcRows find_b_and_c(const KernelArgs& args, float* norms, float* bc) {
  using namespace selective_scan_operand;
  const ScanColumns columns(args);
  const std::int64_t d_state = args.shape(a_log)[2];
  const BcRows stored{args.data(params) + columns.first, columns.width};
  if (!args.has(b_norm)) return stored;
  const float eps = args.params<SelectiveScanParams>().eps;
  const float* weights[] = {columns_of(args.weight(b_norm), norms),
                            columns_of(args.weight(c_norm), norms + d_state)};
  args.pool.parallel_for(args.n_rows(), 8 * d_state,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t i = 2 * begin; i < 2 * end; ++i)
                             rms_norm_row(stored.first + i / 2 * stored.stride + i % 2 * d_state,
                                          weights[i % 2], eps, d_state, bc + i * d_state);
                         });
  return {bc, 2 * d_state};
}

namespace {

HWY_EXPORT(scan);

struct Scratch {
  std::int64_t d_inner, d_state, per_thread;
  float* dt_weight;  ///< [E]: the decoded weight; used if it is present and not stored by columns
  float* dt_bias;    ///< [E]: the same for dt_bias
  float* skip;       ///< [E]: the same for skip
  float* norms;      ///< [2, N]: the same for the norms of B and C
  float* bc;         ///< [R, 2, N]: B and C after their norms
  float* memory;     ///< [n_threads, per_thread]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : d_inner(node.shape(selective_scan_operand::a_log)[1]),
        d_state(node.shape(selective_scan_operand::a_log)[2]),
        per_thread(memory_of(d_state)),
        dt_weight(layout.take<float>(d_inner)),
        dt_bias(layout.take<float>(d_inner)),
        skip(layout.take<float>(d_inner)),
        norms(layout.take<float>(2 * d_state)),
        bc(layout.take<float>(node.has(selective_scan_operand::b_norm)
                                  ? node.shape(selective_scan_operand::u)[0] * 2 * d_state
                                  : 0)),
        memory(layout.take<float>(n_threads * per_thread)) {}
};

/// All channels of one segment.
Channels channels_of(const KernelArgs& args, const Scratch& scratch, const BcRows& bc,
                     const SegmentWords& segment) {
  using namespace selective_scan_operand;
  const bool has_dt = args.has(dt);
  const ScanColumns columns(args);
  const auto options = args.params<SelectiveScanParams>();
  const std::int64_t row = segment.first_row * scratch.d_inner;
  Channels c{};
  c.u = args.data(u) + row;
  c.z = args.data(z) + row;
  c.bc = bc.first + segment.first_row * bc.stride;
  c.bc_stride = bc.stride;
  if (has_dt) {
    c.dt = args.data(dt) + row;
  } else {
    c.rates = args.data(params) + segment.first_row * columns.width + columns.rate;
    c.rate_stride = columns.width;
    c.dt_weight = columns_of(args.weight(dt_weight), scratch.dt_weight);
  }
  c.decays = decays_of(args.weight(a_log));
  c.dt_bias = columns_of(args.weight(dt_bias), scratch.dt_bias);
  c.skip = columns_of(args.weight(skip), scratch.skip);
  c.h_in = segment.position == 0 ? nullptr : args.state(h, segment, segment.read_version);
  c.h_out = segment.keeps_state == 0 ? nullptr : args.state(h, segment, segment.write_version);
  c.y = args.data(y) + row;
  c.n_rows = segment.n_rows;
  c.n_channels = c.d_inner = scratch.d_inner;
  c.d_state = scratch.d_state;
  c.dt_min = options.dt_min;
  c.dt_max = options.dt_max;
  return c;
}

void run(const KernelArgs& args, const Scratch& scratch) {
  const BcRows bc = find_b_and_c(args, scratch.norms, scratch.bc);
  for (const SegmentWords& segment : args.segments()) {
    const Channels all = channels_of(args, scratch, bc, segment);
    const std::int64_t channels = segment.n_rows == 1 ? kChannelsOfOne : kChannels;
    args.pool.parallel_for(
        divide_up(all.d_inner, channels), segment.n_rows * channels * all.d_state * 2,
        [&](std::int64_t begin, std::int64_t end, int thread) {
          for (std::int64_t item = begin; item < end; ++item) HWY_DYNAMIC_DISPATCH(scan)
          (all.part(item * channels, channels, scratch.memory + thread * scratch.per_thread),
           args.precision);
        });
  }
}

}  // namespace

const CpuKernel simd_selective_scan = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
#endif
