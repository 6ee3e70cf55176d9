#include "model/block.h"

namespace bitaxon {

Tensor block(const BlockContext& context, const Tensor& x) {
  const BlockSpec& spec = context.spec.block(context.block);
  const auto* attention = std::get_if<AttentionSpec>(&spec.mixer);
  const Tensor mixed =
      attention != nullptr ? attention_mixer(context, x, *attention) : scan_mixer(context, x);
  const auto* with_experts = std::get_if<ExpertsSpec>(&spec.feed_forward);
  return with_experts != nullptr ? experts(context, mixed, *with_experts) : mixed;
}

}  // namespace bitaxon
