//   dt = clip(softplus(r * dt_weight + dt_bias)); a = -exp(a_log)
//   h = exp(dt * a) * h + dt * u * B;   y = (h . C + skip * u) * silu(z)
#include "ops/selective_scan.h"

#include <algorithm>
#include <cmath>

#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* a_log;      ///< [E, N]
  float* dt_weight;  ///< [E]
  float* dt_bias;    ///< [E]
  float* skip;       ///< [E]
  double* channel;   ///< [n_threads, 2 * N]: a and h of the current channel

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads) {
    const std::int64_t d_inner = node.shape(selective_scan_operand::a_log)[1];
    const std::int64_t d_state = node.shape(selective_scan_operand::a_log)[2];
    a_log = layout.take<float>(d_inner * d_state);
    dt_weight = layout.take<float>(d_inner);
    dt_bias = layout.take<float>(d_inner);
    skip = layout.take<float>(d_inner);
    channel = layout.take<double>(n_threads * 2 * d_state);
  }
};

/// log(1 + exp(x)) without overflow.
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

struct Channel {
  const KernelArgs& args;
  const SegmentWords& segment;
  const Scratch& scratch;
  std::int64_t d_inner;
  std::int64_t d_state;
  SelectiveScanParams params;

  /// The recurrence of channel e over all rows of the segment.
  void scan(std::int64_t e, double* a, double* state) const;
};

void Channel::scan(std::int64_t e, double* a, double* state) const {
  using namespace selective_scan_operand;
  const float* h_in = args.state(h, segment, segment.read_version);
  float* h_out = args.state(h, segment, segment.write_version);
  for (std::int64_t n = 0; n < d_state; ++n) {
    a[n] = -std::exp(static_cast<double>(scratch.a_log[e * d_state + n]));
    state[n] = segment.position == 0 ? 0.0 : static_cast<double>(h_in[n * d_inner + e]);
  }
  for (std::uint32_t i = 0; i < segment.n_rows; ++i) {
    const std::int64_t row = segment.first_row + i;
    const float* b = args.data(bcr) + row * (2 * d_state + 1);
    const float* c = b + d_state;
    const auto input = static_cast<double>(args.data(u)[row * d_inner + e]);
    const double dt = std::clamp(
        softplus(static_cast<double>(c[d_state]) * static_cast<double>(scratch.dt_weight[e]) +
                 static_cast<double>(scratch.dt_bias[e])),
        static_cast<double>(params.dt_min), static_cast<double>(params.dt_max));
    double sum = static_cast<double>(scratch.skip[e]) * input;
    for (std::int64_t n = 0; n < d_state; ++n) {
      // The state is rounded to float32, as it is stored between steps, after every row. So the
      // result does not depend on where one step ends and the next begins.
      state[n] = static_cast<double>(static_cast<float>(std::exp(dt * a[n]) * state[n] +
                                                        dt * input * static_cast<double>(b[n])));
      sum += state[n] * static_cast<double>(c[n]);
    }
    const auto gate = static_cast<double>(args.data(z)[row * d_inner + e]);
    args.data(y)[row * d_inner + e] = static_cast<float>(sum * silu(gate));
  }
  for (std::int64_t n = 0; n < d_state; ++n) h_out[n * d_inner + e] = static_cast<float>(state[n]);
}

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace selective_scan_operand;
  const WeightDesc& desc = args.weight(a_log).desc;
  const std::int64_t d_inner = desc.rows;
  const std::int64_t d_state = desc.cols;
  decode_all(args.weight(a_log), scratch.a_log);
  decode_all(args.weight(dt_weight), scratch.dt_weight);
  decode_all(args.weight(dt_bias), scratch.dt_bias);
  decode_all(args.weight(skip), scratch.skip);
  for (const SegmentWords& segment : args.segments()) {
    const Channel channel{args,    segment, scratch,
                          d_inner, d_state, args.params<SelectiveScanParams>()};
    args.pool.parallel_for(d_inner, segment.n_rows * d_state * 20,
                           [&](std::int64_t begin, std::int64_t end, int thread) {
                             double* a = scratch.channel + thread * 2 * d_state;
                             for (std::int64_t e = begin; e < end; ++e)
                               channel.scan(e, a, a + d_state);
                           });
  }
}

}  // namespace

const CpuKernel selective_scan_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
