//   y[r] = silu(gate @ n(x[r])) * (up @ n(x[r]))
#include "ops/swiglu.h"

#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* norm;    ///< [D]
  float* normed;  ///< [R, D]
  float* rows;    ///< [n_threads, 2, D]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads) {
    using namespace swiglu_operand;
    const std::int64_t d_model = node.shape(x)[1];
    const bool has_norm = node.has(swiglu_operand::norm);
    norm = layout.take<float>(has_norm ? d_model : 0);
    normed = layout.take<float>(has_norm ? node.shape(x).elements() : 0);
    rows = layout.take<float>(n_threads * 2 * d_model);
  }
};

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace swiglu_operand;
  const PackedWeight& gates = args.weight(gate);
  const std::int64_t d_model = gates.desc.cols;
  const std::int64_t intermediate = gates.desc.rows;
  const float* in = args.data(x);
  if (args.has(norm)) {
    rms_norm_rows(args, in, args.weight(norm), args.params<SwigluParams>().eps, args.n_rows(),
                  d_model, scratch.norm, scratch.normed);
    in = scratch.normed;
  }
  float* out = args.data(y);
  swiglu_rows(
      args, gates, args.weight(up), 0, args.n_rows(), scratch.rows,
      [&](std::int64_t r) { return in + r * d_model; },
      [&](std::int64_t r) { return out + r * intermediate; });
}

}  // namespace

const CpuKernel swiglu_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
