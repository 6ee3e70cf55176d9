#include "model/block.h"

namespace bitaxon {

Tensor attention_mixer(const BlockContext& context, const Tensor& x, const AttentionSpec& spec) {
  const Tensor keys = context.state(context.state_index.keys);
  const Tensor values = context.state(context.state_index.values);
  const Tensor q = attn_in(x,
                           {.norm = context.weight(WeightId::mixer_norm),
                            .q = context.weight(WeightId::query),
                            .k = context.weight(WeightId::key),
                            .v = context.weight(WeightId::value)},
                           context.eps(), keys, values);
  const std::int64_t window = spec.window.value_or(context.spec.max_seq_len);
  const Tensor y = attention(q, keys, values, spec.n_heads, window);
  return linear(y, context.weight(WeightId::attention_out), {.residual = x});
}

}  // namespace bitaxon
