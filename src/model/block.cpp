#include "model/block.h"

namespace bitaxon {

Tensor block(const BlockContext& context, const Tensor& x) {
  const BlockSpec& spec = context.spec.block(context.block);
  const auto* attention = std::get_if<AttentionSpec>(&spec.mixer);
  const Tensor mixed = attention != nullptr
                           ? attention_mixer(context, x, *attention)
                           : scan_mixer(context, x, std::get<SelectiveScanSpec>(spec.mixer));
  if (const auto* with_experts = std::get_if<ExpertsSpec>(&spec.feed_forward))
    return experts(context, mixed, *with_experts);
  return std::holds_alternative<DenseSpec>(spec.feed_forward) ? dense(context, mixed) : mixed;
}

}  // namespace bitaxon
