//   y[r, s, :] = silu(gate[e] @ x[r]) * (up[e] @ x[r]),  e = experts[r, s]
#include "ops/moe_swiglu.h"

#include "cpu/expert_groups.h"
#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* rows;  ///< [n_threads, 2, D]
  ExpertGroups groups;

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads) {
    using namespace moe_swiglu_operand;
    rows = layout.take<float>(n_threads * 2 * node.shape(x)[1]);
    groups.first = layout.take<std::int32_t>(node.shape(gate)[0] + 1);
    groups.pairs = layout.take<std::int32_t>(node.shape(experts).elements());
  }
};

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace moe_swiglu_operand;
  const PackedWeight& gates = args.weight(gate);
  const std::int64_t d_model = gates.desc.cols;
  const std::int64_t intermediate = gates.desc.rows;
  const std::int64_t n_experts = gates.desc.n_matrices;
  const std::int64_t top_k = args.shape(experts)[1];
  const std::int64_t slots = args.shape(y)[1];
  group_by_expert(args.data<std::int32_t>(experts), args.n_rows() * top_k, n_experts,
                  scratch.groups);
  const float* in = args.data(x);
  float* out = args.data(y);
  for (std::int64_t e = 0; e < n_experts; ++e) {
    const auto pairs = scratch.groups.of(e);
    if (pairs.empty()) continue;
    const auto pair = [&](std::int64_t i) { return pairs[static_cast<std::size_t>(i)]; };
    swiglu_rows(
        args, gates, args.weight(up), e, static_cast<std::int64_t>(pairs.size()), scratch.rows,
        [&](std::int64_t i) { return in + pair(i) / top_k * d_model; },
        [&](std::int64_t i) {
          return out + (pair(i) / top_k * slots + pair(i) % top_k) * intermediate;
        });
  }
  if (args.has(shared_gate))
    swiglu_rows(
        args, args.weight(shared_gate), args.weight(shared_up), 0, args.n_rows(), scratch.rows,
        [&](std::int64_t r) { return in + r * d_model; },
        [&](std::int64_t r) { return out + (r * slots + top_k) * intermediate; });
}

}  // namespace

const CpuKernel moe_swiglu_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
