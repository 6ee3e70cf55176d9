#include "model/block.h"

#include <algorithm>

namespace bitaxon {

bool BlockContext::is_split(std::initializer_list<WeightId> layers) const {
  if (adapter == nullptr) return false;
  return adapter->differentiable || std::ranges::any_of(layers, [&](WeightId id) {
           return adapter->set->find({id, block}) != nullptr;
         });
}

Tensor projection(const BlockContext& context, const Tensor& x, WeightId id,
                  const ProjectionOptions& options) {
  const AdaptedLinear* adapted =
      context.adapter == nullptr ? nullptr : context.adapter->set->find({id, context.block});
  if (adapted == nullptr)
    return linear(x, context.weight(id), {.bias = options.bias, .residual = options.residual});
  const Tensor kept =
      adapted->dropout.p > 0 ? dropout(x, adapted->dropout, context.adapter->masks) : x;
  return adapter(kept, linear(x, context.weight(id)), context.adapter->parameters,
                 context.adapter->norms, adapted->place,
                 {.bias = options.bias, .residual = options.residual});
}

Tensor normed(const BlockContext& context, const Tensor& x, WeightId norm) {
  const Tensor weight = context.weight(norm);
  return weight.empty() ? x : rms_norm(x, weight, context.eps());
}

Tensor mixer(const BlockContext& context, const Tensor& x) {
  const BlockSpec& spec = context.spec.block(context.block);
  const auto* attention = std::get_if<AttentionSpec>(&spec.mixer);
  return attention != nullptr ? attention_mixer(context, x, *attention)
                              : scan_mixer(context, x, std::get<SelectiveScanSpec>(spec.mixer));
}

Tensor feed_forward(const BlockContext& context, const Tensor& x) {
  const BlockSpec& spec = context.spec.block(context.block);
  if (const auto* with_experts = std::get_if<ExpertsSpec>(&spec.feed_forward))
    return experts(context, x, *with_experts);
  return std::holds_alternative<DenseSpec>(spec.feed_forward) ? dense(context, x) : x;
}

Tensor block(const BlockContext& context, const Tensor& x) {
  return feed_forward(context, mixer(context, x));
}

}  // namespace bitaxon
