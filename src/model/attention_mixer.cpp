#include "model/block.h"

namespace bitaxon {

Tensor attention_mixer(const BlockContext& context, const Tensor& x, const AttentionSpec& spec) {
  const Tensor keys = context.state(context.state_index.keys);
  const Tensor values = context.state(context.state_index.values);
  const Tensor q = attn_in(x,
                           {.norm = context.weight(WeightId::mixer_norm),
                            .q = context.weight(WeightId::query),
                            .k = context.weight(WeightId::key),
                            .v = context.weight(WeightId::value),
                            .q_bias = context.weight(WeightId::query_bias),
                            .k_bias = context.weight(WeightId::key_bias),
                            .v_bias = context.weight(WeightId::value_bias),
                            .q_norm = context.weight(WeightId::query_norm),
                            .k_norm = context.weight(WeightId::key_norm),
                            .rotary = context.rotary(spec)},
                           context.eps(), keys, values);
  const Tensor y =
      attention(q, keys, values,
                {.n_heads = spec.n_heads, .n_kv_heads = spec.n_kv_heads, .window = spec.window});
  return linear(y, context.weight(WeightId::attention_out),
                {.bias = context.weight(WeightId::attention_out_bias), .residual = x});
}

}  // namespace bitaxon
