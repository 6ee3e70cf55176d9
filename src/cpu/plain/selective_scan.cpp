//   dt' = clip(softplus(raw + dt_bias)), raw = dt or r * dt_weight;  a = -exp(a_log)
//   h = exp(dt' * a) * h + dt' * u * B;   y = (h . C + skip * u) * silu(z)
//   B and C are RMS-normalized first if there are norms.
#include "ops/selective_scan.h"

#include <algorithm>
#include <cmath>

#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* a_log;      ///< [E, N]
  float* dt_weight;  ///< [E]; unused with dt
  float* dt_bias;    ///< [E]
  float* skip;       ///< [E]
  float* norms;      ///< [2, N]: the weights of the norms of B and C
  float* bc;         ///< [R, 2, N]: B and C after their norms
  double* channel;   ///< [n_threads, 2 * N]: a and h of the current channel

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads) {
    using namespace selective_scan_operand;
    const std::int64_t d_inner = node.shape(selective_scan_operand::a_log)[1];
    const std::int64_t d_state = node.shape(selective_scan_operand::a_log)[2];
    a_log = layout.take<float>(d_inner * d_state);
    dt_weight = layout.take<float>(d_inner);
    dt_bias = layout.take<float>(d_inner);
    skip = layout.take<float>(d_inner);
    norms = layout.take<float>(2 * d_state);
    bc = layout.take<float>(node.has(b_norm) ? node.shape(u)[0] * 2 * d_state : 0);
    channel = layout.take<double>(n_threads * 2 * d_state);
  }
};

/// log(1 + exp(x)) without overflow.
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

/// B and C of every row, [2, N] each, and the number of elements from one row to the next.
struct BcRows {
  const float* first = nullptr;
  std::int64_t stride = 0;
};

/// Applies the norms of B and C, if there are any.
BcRows find_b_and_c(const KernelArgs& args, const Scratch& scratch) {
  using namespace selective_scan_operand;
  const ScanColumns columns(args);
  const std::int64_t d_state = args.shape(a_log)[2];
  const BcRows stored{args.data(params) + columns.first, columns.width};
  if (!args.has(b_norm)) return stored;
  const float eps = args.params<SelectiveScanParams>().eps;
  decode_all(args.weight(b_norm), scratch.norms);
  decode_all(args.weight(c_norm), scratch.norms + d_state);
  for (std::int64_t r = 0; r < args.n_rows(); ++r)
    for (std::int64_t part = 0; part < 2; ++part)
      rms_norm(stored.first + r * stored.stride + part * d_state, scratch.norms + part * d_state,
               eps, d_state, scratch.bc + (2 * r + part) * d_state);
  return {scratch.bc, 2 * d_state};
}

struct Channel {
  const KernelArgs& args;
  const SegmentWords& segment;
  const Scratch& scratch;
  BcRows bc;
  std::int64_t d_inner;
  std::int64_t d_state;
  SelectiveScanParams options;

  /// The time step of channel e in one row.
  double time_step(std::int64_t e, std::int64_t row) const;
  /// The recurrence of channel e over all rows of the segment.
  void scan(std::int64_t e, double* a, double* state) const;
};

double Channel::time_step(std::int64_t e, std::int64_t row) const {
  using namespace selective_scan_operand;
  double raw = 0;
  if (args.has(dt)) {
    raw = static_cast<double>(args.data(dt)[row * d_inner + e]);
  } else {
    const ScanColumns columns(args);
    raw = static_cast<double>(args.data(params)[row * columns.width + columns.rate]) *
          static_cast<double>(scratch.dt_weight[e]);
  }
  return std::clamp(softplus(raw + static_cast<double>(scratch.dt_bias[e])),
                    static_cast<double>(options.dt_min), static_cast<double>(options.dt_max));
}

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
    const float* b = bc.first + row * bc.stride;
    const float* c = b + d_state;
    const auto input = static_cast<double>(args.data(u)[row * d_inner + e]);
    const double step = time_step(e, row);
    double sum = static_cast<double>(scratch.skip[e]) * input;
    for (std::int64_t n = 0; n < d_state; ++n) {
      // The state is rounded to float32, as it is stored between steps, after every row. So the
      // result does not depend on where one step ends and the next begins.
      state[n] = static_cast<double>(static_cast<float>(std::exp(step * a[n]) * state[n] +
                                                        step * input * static_cast<double>(b[n])));
      sum += state[n] * static_cast<double>(c[n]);
    }
    const auto gate = static_cast<double>(args.data(z)[row * d_inner + e]);
    args.data(y)[row * d_inner + e] = static_cast<float>(sum * silu(gate));
  }
  if (segment.keeps_state == 0) return;
  for (std::int64_t n = 0; n < d_state; ++n) h_out[n * d_inner + e] = static_cast<float>(state[n]);
}

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace selective_scan_operand;
  const WeightDesc& desc = args.weight(a_log).desc;
  const std::int64_t d_inner = desc.rows;
  const std::int64_t d_state = desc.cols;
  decode_all(args.weight(a_log), scratch.a_log);
  decode_or_zeros(args, dt_weight, scratch.dt_weight, d_inner);
  decode_all(args.weight(dt_bias), scratch.dt_bias);
  decode_all(args.weight(skip), scratch.skip);
  const BcRows bc = find_b_and_c(args, scratch);
  for (const SegmentWords& segment : args.segments()) {
    const Channel channel{
        args, segment, scratch, bc, d_inner, d_state, args.params<SelectiveScanParams>()};
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
