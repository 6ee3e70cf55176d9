//   y[r] = residual[r] + sum_s gates[r, s] * (down[experts[r, s]] @ act[r, s]) + shared slot
#include "ops/moe_down.h"

#include "cpu/expert_groups.h"
#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* rows;      ///< [n_threads, I]
  float* products;  ///< [R, slots, D]
  ExpertGroups groups;

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads) {
    using namespace moe_down_operand;
    const Shape& slots = node.shape(act);
    const Shape& weight = node.shape(down);
    rows = layout.take<float>(n_threads * slots[2]);
    products = layout.take<float>(slots[0] * slots[1] * weight[1]);
    groups.first = layout.take<std::int32_t>(weight[0] + 1);
    groups.pairs = layout.take<std::int32_t>(node.shape(experts).elements());
  }
};

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace moe_down_operand;
  const PackedWeight& weight = args.weight(down);
  const std::int64_t d_model = weight.desc.rows;
  const std::int64_t intermediate = weight.desc.cols;
  const std::int64_t n_experts = weight.desc.n_matrices;
  const std::int64_t top_k = args.shape(experts)[1];
  const std::int64_t slots = args.shape(act)[1];
  group_by_expert(args.data<std::int32_t>(experts), args.n_rows() * top_k, n_experts,
                  scratch.groups);
  const auto project = [&](const PackedWeight& matrices, std::int64_t matrix, std::int64_t n,
                           const auto& place) {
    for_each_product(
        args, matrices, matrix, n, scratch.rows,
        [&](std::int64_t i) { return args.data(act) + place(i) * intermediate; },
        [&](std::int64_t i, std::int64_t o, double product) {
          scratch.products[place(i) * d_model + o] = static_cast<float>(product);
        });
  };
  for (std::int64_t e = 0; e < n_experts; ++e) {
    const auto pairs = scratch.groups.of(e);
    if (pairs.empty()) continue;
    project(weight, e, static_cast<std::int64_t>(pairs.size()), [&](std::int64_t i) {
      const std::int64_t pair = pairs[static_cast<std::size_t>(i)];
      return pair / top_k * slots + pair % top_k;
    });
  }
  if (args.has(shared_down))
    project(args.weight(shared_down), 0, args.n_rows(),
            [&](std::int64_t r) { return r * slots + top_k; });
  // Adds the slots in order, the largest gate first. So the order of additions does not depend on
  // the indices of the experts.
  args.pool.parallel_for(
      args.n_rows(), 2 * slots * d_model, [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t r = begin; r < end; ++r)
          for (std::int64_t o = 0; o < d_model; ++o) {
            auto sum = static_cast<double>(args.data(residual)[r * d_model + o]);
            for (std::int64_t s = 0; s < slots; ++s)
              sum += static_cast<double>(args.data(gates)[r * (top_k + 1) + s]) *
                     static_cast<double>(scratch.products[(r * slots + s) * d_model + o]);
            args.data(y)[r * d_model + o] = static_cast<float>(sum);
          }
      });
}

}  // namespace

const CpuKernel moe_down_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
