//   y[r, s, :] = silu(gate[e] @ x[r]) * (up[e] @ x[r]),  e = experts[r, s]
#include "ops/moe_swiglu.h"

#include "cpu/expert_groups.h"
#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* rows;  ///< [n_threads, 2, D]
  ExpertGroups groups;
  std::size_t size_bytes;

  Scratch(std::byte* base, std::int64_t n_rows, std::int64_t d_model, std::int64_t n_experts,
          std::int64_t top_k, int n_threads) {
    ScratchLayout layout(base);
    rows = layout.take<float>(n_threads * 2 * d_model);
    groups.first = layout.take<std::int32_t>(n_experts + 1);
    groups.pairs = layout.take<std::int32_t>(n_rows * top_k);
    size_bytes = layout.size_bytes();
  }
};

/// One pair of SwiGLU matrices for n rows: reads x_row(i), writes y_row(i) [I].
template <class XRow, class YRow>
void swiglu(const KernelArgs& args, const PackedWeight& gate, const PackedWeight& up,
            std::int64_t matrix, std::int64_t n, float* row_scratch, const XRow& x_row,
            const YRow& y_row) {
  const std::int64_t cols = gate.desc.cols;
  args.pool.parallel_for(
      gate.desc.rows, 4 * cols * n, [&](std::int64_t begin, std::int64_t end, int thread) {
        float* g = row_scratch + thread * 2 * cols;
        float* u = g + cols;
        for (std::int64_t o = begin; o < end; ++o) {
          decode_row(gate, matrix, o, g);
          decode_row(up, matrix, o, u);
          for (std::int64_t i = 0; i < n; ++i)
            y_row(i)[o] = static_cast<float>(silu(dot(g, x_row(i), cols)) * dot(u, x_row(i), cols));
        }
      });
}

void run(const KernelArgs& args) {
  using namespace moe_swiglu_operand;
  const PackedWeight& gates = args.weight(gate);
  const std::int64_t d_model = gates.desc.cols;
  const std::int64_t intermediate = gates.desc.rows;
  const std::int64_t n_experts = gates.desc.n_matrices;
  const std::int64_t top_k = args.shape(experts)[1];
  const std::int64_t slots = args.shape(y)[1];
  const Scratch scratch(args.scratch, args.shape(x)[0], d_model, n_experts, top_k,
                        args.pool.n_threads());
  group_by_expert(args.data<std::int32_t>(experts), args.n_rows() * top_k, n_experts,
                  scratch.groups);
  const float* in = args.data(x);
  float* out = args.data(y);
  for (std::int64_t e = 0; e < n_experts; ++e) {
    const auto pairs = scratch.groups.of(e);
    if (pairs.empty()) continue;
    const auto pair = [&](std::int64_t i) { return pairs[static_cast<std::size_t>(i)]; };
    swiglu(
        args, gates, args.weight(up), e, static_cast<std::int64_t>(pairs.size()), scratch.rows,
        [&](std::int64_t i) { return in + pair(i) / top_k * d_model; },
        [&](std::int64_t i) {
          return out + (pair(i) / top_k * slots + pair(i) % top_k) * intermediate;
        });
  }
  if (args.has(shared_gate))
    swiglu(
        args, args.weight(shared_gate), args.weight(shared_up), 0, args.n_rows(), scratch.rows,
        [&](std::int64_t r) { return in + r * d_model; },
        [&](std::int64_t r) { return out + (r * slots + top_k) * intermediate; });
}

std::size_t workspace(const Graph& graph, const Node& node, int n_threads) {
  using namespace moe_swiglu_operand;
  const Shape& rows = graph.value(node.operands[x].value).shape;
  return Scratch(nullptr, rows[0], rows[1], graph.value(node.operands[gate].value).shape[0],
                 graph.value(node.operands[experts].value).shape[1], n_threads)
      .size_bytes;
}

}  // namespace

const CpuKernel moe_swiglu_kernel{run, workspace};

}  // namespace bitaxon::cpu
