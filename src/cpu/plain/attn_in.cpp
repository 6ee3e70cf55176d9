//   q = q_proj @ rms(x)
//   keys[p mod capacity] = k_proj @ rms(x);   values[p mod capacity] = v_proj @ rms(x)
#include "ops/attn_in.h"

#include "core/half.h"
#include "cpu/products.h"
#include "cpu/ring_places.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* norm;           ///< [D]
  float* normed;         ///< [R, D]
  float* rows;           ///< [n_threads, D]
  std::int64_t* target;  ///< [R]: the offset of each row in the KV cache's ring buffer, in elements

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads) {
    const std::int64_t n_rows = node.shape(attn_in_operand::x)[0];
    const std::int64_t d_model = node.shape(attn_in_operand::x)[1];
    norm = layout.take<float>(d_model);
    normed = layout.take<float>(n_rows * d_model);
    rows = layout.take<float>(n_threads * d_model);
    target = layout.take<std::int64_t>(n_rows);
  }
};

void append(const KernelArgs& args, int projection, int ring, const float* normed,
            const Scratch& scratch, std::int64_t d_model) {
  find_ring_places(args, ring, scratch.target);
  const bool half = args.value(ring).dtype == DType::f16;
  for_each_product(
      args, args.weight(projection), 0, args.n_rows(), scratch.rows,
      [&](std::int64_t r) { return normed + r * d_model; },
      [&](std::int64_t r, std::int64_t o, double product) {
        const std::int64_t at = scratch.target[r] + o;
        const auto value = static_cast<float>(product);
        if (half)
          args.data<std::uint16_t>(ring)[at] = f32_to_f16(value);
        else
          args.data<float>(ring)[at] = value;
      });
}

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace attn_in_operand;
  const std::int64_t d_model = args.shape(q)[1];
  const float* normed = args.data(x);
  if (args.has(norm)) {
    rms_norm_rows(args, normed, args.weight(norm), args.params<AttnInParams>().eps, args.n_rows(),
                  d_model, scratch.norm, scratch.normed);
    normed = scratch.normed;
  }
  for_each_product(
      args, args.weight(q_proj), 0, args.n_rows(), scratch.rows,
      [&](std::int64_t r) { return normed + r * d_model; },
      [&](std::int64_t r, std::int64_t o, double product) {
        args.data(q)[r * d_model + o] = static_cast<float>(product);
      });
  append(args, k_proj, keys, normed, scratch, d_model);
  append(args, v_proj, values, normed, scratch, d_model);
}

}  // namespace

const CpuKernel attn_in_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
