#include "cases/head_turn_spec.h"

namespace bitaxon::test {
namespace {

void build(OpProblem& p, const TurnSpec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const std::int64_t kv_width = spec.n_kv_heads * spec.head_dim;
  const auto q = p.add_input(spec.n_heads * spec.head_dim, 1);
  const auto k = p.add_input(kv_width, 1);
  const auto g_y = p.add_input(spec.n_heads * spec.head_dim, 1);
  const TurnParts parts = add_turn(p, spec);
  const auto g_keys = p.add_pages(DType::f32, kv_width, 0);
  const auto g_values = p.add_pages(DType::f32, kv_width, 0);
  for (const SegmentWords& segment : p.segments())
    for (const std::size_t pages : {g_keys, g_values})
      p.fill_pages(pages, segment, segment.position, segment.position + segment.n_rows, 1);
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    const AttnAppendGradients g =
        attn_append_backward(h.inputs[q], h.inputs[k], parts.weights(h), 1e-6F, h.inputs[g_y],
                             h.states[g_keys], h.states[g_values]);
    return {g.q, g.k, g.v};
  };
}

}  // namespace

std::vector<OpCase> attn_append_backward_cases() {
  std::vector<NamedSpec<TurnSpec>> specs = turn_specs();
  std::erase_if(specs, [](const auto& named) { return named.spec.dtype == DType::f16; });
  return cases_of(specs, 4e-6, "a rotation, and the gradient of a float32 norm", build);
}

}  // namespace bitaxon::test
