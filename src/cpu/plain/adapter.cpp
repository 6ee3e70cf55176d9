//   o = base + scale * (x A) B;  y = (m / n) * o + bias + residual for DoRA, o + ... for LoRA
#include "ops/adapter.h"

#include "cpu/kernel.h"
#include "cpu/plain/formulas/adapter.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  double* inner;  ///< [n_threads, rank]
  float* bias;    ///< [out]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads) {
    using namespace adapter_operand;
    const auto place = node.params<AdapterPlace>();
    inner = layout.take<double>(n_threads * static_cast<std::int64_t>(place.rank));
    bias = layout.take<float>(node.has(adapter_operand::bias) ? node.shape(y)[1] : 0);
  }
};

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace adapter_operand;
  const auto place = args.params<AdapterPlace>();
  const std::int64_t n_in = args.shape(x)[1];
  const std::int64_t n_out = args.shape(y)[1];
  const auto layer =
      formulas::layer_at<float>(place, args.data(parameters), args.data(norms), n_in, n_out);
  if (args.has(bias)) decode_all(args.weight(bias), scratch.bias);
  args.pool.parallel_for(args.valid_rows(x), 2 * layer.rank * (n_in + n_out),
                         [&](std::int64_t begin, std::int64_t end, int thread) {
                           double* u = scratch.inner + thread * layer.rank;
                           for (std::int64_t r = begin; r < end; ++r) {
                             formulas::adapter_inner(layer, args.data(x) + r * n_in, u);
                             for (std::int64_t o = 0; o < n_out; ++o) {
                               const std::int64_t at = r * n_out + o;
                               double value =
                                   layer.factor(o) *
                                   formulas::adapter_output(layer, u, args.data(base)[at], o);
                               if (args.has(bias)) value += static_cast<double>(scratch.bias[o]);
                               if (args.has(residual))
                                 value += static_cast<double>(args.data(residual)[at]);
                               args.data(y)[at] = static_cast<float>(value);
                             }
                           }
                         });
}

}  // namespace

const CpuKernel adapter_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
