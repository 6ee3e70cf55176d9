#include "model/block.h"

namespace bitaxon {
namespace {

/// Computes queries and appends keys and values to the KV cache.
Tensor queries(const BlockContext& context, const Tensor& x, const AttentionSpec& spec,
               const Tensor& keys, const Tensor& values) {
  const auto weight = [&](WeightId id) { return context.weight(id); };
  if (context.is_split({WeightId::query, WeightId::key, WeightId::value})) {
    const Tensor n = normed(context, x, WeightId::mixer_norm);
    return attn_append(
        projection(context, n, WeightId::query, {.bias = weight(WeightId::query_bias)}),
        projection(context, n, WeightId::key, {.bias = weight(WeightId::key_bias)}),
        projection(context, n, WeightId::value, {.bias = weight(WeightId::value_bias)}),
        {.q_norm = weight(WeightId::query_norm),
         .k_norm = weight(WeightId::key_norm),
         .rotary = context.rotary(spec)},
        context.eps(), keys, values);
  }
  return attn_in(x,
                 {.norm = weight(WeightId::mixer_norm),
                  .q = weight(WeightId::query),
                  .k = weight(WeightId::key),
                  .v = weight(WeightId::value),
                  .q_bias = weight(WeightId::query_bias),
                  .k_bias = weight(WeightId::key_bias),
                  .v_bias = weight(WeightId::value_bias),
                  .q_norm = weight(WeightId::query_norm),
                  .k_norm = weight(WeightId::key_norm),
                  .rotary = context.rotary(spec)},
                 context.eps(), keys, values);
}

}  // namespace

Tensor attention_mixer(const BlockContext& context, const Tensor& x, const AttentionSpec& spec) {
  const Tensor keys = context.state(context.state_index.keys);
  const Tensor values = context.state(context.state_index.values);
  const Tensor y =
      attention(queries(context, x, spec, keys, values), keys, values,
                {.n_heads = spec.n_heads, .n_kv_heads = spec.n_kv_heads, .window = spec.window});
  return projection(context, y, WeightId::attention_out,
                    {.bias = context.weight(WeightId::attention_out_bias), .residual = x});
}

}  // namespace bitaxon
