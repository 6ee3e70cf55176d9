//   gate[r, s] = gate[e] @ x[r], up[r, s] = up[e] @ x[r], e = experts[r, s]
#include "ops/moe_gate_up.h"

#include <utility>

#include "cpu/expert_groups.h"
#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

using namespace moe_gate_up_operand;

struct Scratch {
  float* rows;  ///< [n_threads, D]
  ExpertGroups groups;

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads) {
    rows = layout.take<float>(n_threads * node.shape(x)[1]);
    groups.first = layout.take<std::int32_t>(node.shape(gate)[0] + 1);
    groups.pairs = layout.take<std::int32_t>(node.shape(experts).elements());
  }
};

void run(const KernelArgs& args, const Scratch& scratch) {
  const WeightDesc& desc = args.weight(gate).desc;
  const std::int64_t top_k = args.shape(experts)[1];
  group_by_expert(args.data<std::int32_t>(experts), args.n_rows() * top_k, desc.n_matrices,
                  scratch.groups);
  for (std::int64_t e = 0; e < desc.n_matrices; ++e) {
    const auto pairs = scratch.groups.of(e);
    if (pairs.empty()) continue;
    const auto pair = [&](std::int64_t i) { return pairs[static_cast<std::size_t>(i)]; };
    for (const auto& [weight, out] : {std::pair(gate, gate_rows), std::pair(up, up_rows)})
      for_each_product(
          args, args.weight(weight), e, static_cast<std::int64_t>(pairs.size()), scratch.rows,
          [&](std::int64_t i) { return args.data(x) + pair(i) / top_k * desc.cols; },
          [&, to = args.data(out)](std::int64_t i, std::int64_t o, double product) {
            to[pair(i) * desc.rows + o] = static_cast<float>(product);
          });
  }
}

}  // namespace

const CpuKernel moe_gate_up_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
