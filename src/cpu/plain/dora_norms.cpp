//   n[k] = || W[k, :] + scale * (A B)^T[k, :] ||
#include "ops/dora_norms.h"

#include "cpu/kernel.h"
#include "cpu/plain/formulas/adapter.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* rows;  ///< [n_threads, in]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : rows(layout.take<float>(n_threads * node.shape(dora_norms_operand::weight)[2])) {}
};

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace dora_norms_operand;
  const auto place = args.params<AdapterPlace>();
  const PackedWeight& w = args.weight(weight);
  const std::int64_t n_in = w.desc.cols;
  float* out = args.data(norms) + place.norm;
  const auto layer =
      formulas::layer_at<float>(place, args.data(parameters), args.data(norms), n_in, w.desc.rows);
  args.pool.parallel_for(w.desc.rows, 2 * n_in * layer.rank,
                         [&](std::int64_t begin, std::int64_t end, int thread) {
                           float* row = scratch.rows + thread * n_in;
                           for (std::int64_t k = begin; k < end; ++k) {
                             decode_row(w, 0, k, row);
                             out[k] = static_cast<float>(formulas::adapted_norm(layer, row, k));
                           }
                         });
}

}  // namespace

const CpuKernel dora_norms_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
