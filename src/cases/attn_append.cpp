#include "cases/head_turn_spec.h"

namespace bitaxon::test {
namespace {

void build(OpProblem& p, const TurnSpec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const std::int64_t kv_width = spec.n_kv_heads * spec.head_dim;
  const auto q = p.add_input(spec.n_heads * spec.head_dim, 1);
  const auto k = p.add_input(kv_width, 1);
  const auto v = p.add_input(kv_width, 1);
  const TurnParts parts = add_turn(p, spec);
  const auto keys = p.add_pages(spec.dtype, kv_width, 0);
  const auto values = p.add_pages(spec.dtype, kv_width, 0);
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {attn_append(h.inputs[q], h.inputs[k], h.inputs[v], parts.weights(h), 1e-6F,
                        h.states[keys], h.states[values])};
  };
}

}  // namespace

std::vector<OpCase> attn_append_cases() {
  return cases_of(turn_specs(), 2e-6, "a float32 norm of a head, and a rotation", build);
}

}  // namespace bitaxon::test
