//   dt = clip(softplus(r * dt_weight + dt_bias)); a = -exp(a_log)
//   h = exp(dt * a) * h + dt * u * B;   y = (h . C + skip * u) * silu(z)
#include "ops/selective_scan.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/selective_scan.cpp"
#include "cpu/simd/each_target.h"
// The rest must follow each_target.h.
#include "bitaxon/error.h"
#include "cpu/memory.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"
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
namespace {

HWY_EXPORT(scan);
HWY_EXPORT(make_decays);

struct Scratch {
  std::int64_t d_inner, d_state, per_thread;
  float* dt_weight;  ///< [E]: the decoded weight; not used if the weight is stored by columns
  float* dt_bias;    ///< [E]: the same for dt_bias
  float* skip;       ///< [E]: the same for skip
  float* memory;     ///< [n_threads, per_thread]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : d_inner(node.shape(selective_scan_operand::a_log)[1]),
        d_state(node.shape(selective_scan_operand::a_log)[2]),
        per_thread(memory_of(d_state)),
        dt_weight(layout.take<float>(d_inner)),
        dt_bias(layout.take<float>(d_inner)),
        skip(layout.take<float>(d_inner)),
        memory(layout.take<float>(n_threads * per_thread)) {}
};

/// The decays -exp(a_log) * log2(e) as [N, E]. The factor log2(e) allows powers of 2 instead of e.
/// The decays are computed in the first step with this weight and kept.
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

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace selective_scan_operand;
  const std::int64_t d_inner = scratch.d_inner;
  const std::int64_t d_state = scratch.d_state;
  if (args.has(dt) || args.has(b_norm))
    throw Error(ErrorKind::unsupported, "[selective_scan] dt: not supported by this device yet");
  const auto options = args.params<SelectiveScanParams>();
  const float* decays = decays_of(args.weight(a_log));
  const float* rates = columns_of(args.weight(dt_weight), scratch.dt_weight);
  const float* rate_biases = columns_of(args.weight(dt_bias), scratch.dt_bias);
  const float* skips = columns_of(args.weight(skip), scratch.skip);
  for (const SegmentWords& segment : args.segments()) {
    const float* h_in =
        segment.position == 0 ? nullptr : args.state(h, segment, segment.read_version);
    float* h_out = args.state(h, segment, segment.write_version);
    const std::int64_t row = segment.first_row * d_inner;
    const std::int64_t channels = segment.n_rows == 1 ? kChannelsOfOne : kChannels;
    const std::int64_t n_items = divide_up(d_inner, channels);
    args.pool.parallel_for(n_items, segment.n_rows * channels * d_state * 2,
                           [&](std::int64_t begin, std::int64_t end, int thread) {
                             for (std::int64_t item = begin; item < end; ++item) {
                               const std::int64_t e = item * channels;
                               HWY_DYNAMIC_DISPATCH(scan)
                               ({.u = args.data(u) + row + e,
                                 .z = args.data(z) + row + e,
                                 .bcr = args.data(params) + segment.first_row * (2 * d_state + 1),
                                 .decays = decays + e,
                                 .dt_weight = rates + e,
                                 .dt_bias = rate_biases + e,
                                 .skip = skips + e,
                                 .h_in = h_in == nullptr ? nullptr : h_in + e,
                                 .h_out = h_out + e,
                                 .y = args.data(y) + row + e,
                                 .memory = scratch.memory + thread * scratch.per_thread,
                                 .n_rows = segment.n_rows,
                                 .n_channels = std::min(channels, d_inner - e),
                                 .d_inner = d_inner,
                                 .d_state = d_state,
                                 .dt_min = options.dt_min,
                                 .dt_max = options.dt_max},
                                args.precision);
                             }
                           });
  }
}

}  // namespace

const CpuKernel simd_selective_scan = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
#endif
