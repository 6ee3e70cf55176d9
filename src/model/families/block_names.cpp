#include "model/families/block_names.h"

#include <utility>
#include <vector>

namespace bitaxon {

void BlockNames::add(WeightId id, std::initializer_list<std::string> suffixes) {
  std::vector<std::string>& names = spec_.names[{id, block_}];
  for (const std::string& suffix : suffixes) names.push_back(prefix_ + suffix);
}

void name_attention(BlockNames& names, const std::string& prefix) {
  names.add(WeightId::query, {prefix + "q_proj.weight"});
  names.add(WeightId::key, {prefix + "k_proj.weight"});
  names.add(WeightId::value, {prefix + "v_proj.weight"});
  names.add(WeightId::attention_out, {prefix + "o_proj.weight"});
}

void name_dense(BlockNames& names, const std::string& prefix, const std::string& also) {
  constexpr std::pair<WeightId, const char*> kWeights[] = {
      {WeightId::dense_gate, "gate_proj.weight"},
      {WeightId::dense_up, "up_proj.weight"},
      {WeightId::dense_down, "down_proj.weight"}};
  for (const auto& [id, name] : kWeights) {
    names.add(id, {prefix + name});
    if (!also.empty()) names.add(id, {also + name});
  }
}

void name_experts(BlockNames& names, const std::string& prefix, const std::string& router,
                  const std::string& also) {
  constexpr std::pair<WeightId, const char*> kStacks[] = {
      {WeightId::experts_gate, "gate_proj.weight"},
      {WeightId::experts_up, "up_proj.weight"},
      {WeightId::experts_down, "down_proj.weight"}};
  names.add(WeightId::router, {prefix + router + ".weight"});
  for (const auto& [id, name] : kStacks)
    names.add(id, {prefix + "switch_mlp." + name, prefix + "experts.*." + name});
  if (also.empty()) return;
  names.add(WeightId::router, {also + router + ".weight"});
  for (const auto& [id, name] : kStacks) names.add(id, {also + "experts.*." + name});
}

void name_scan(BlockNames& names, const std::string& prefix) {
  names.add(WeightId::scan_in, {prefix + "in_proj.weight"});
  names.add(WeightId::conv_taps, {prefix + "conv1d.weight"});
  names.add(WeightId::scan_params, {prefix + "x_proj.weight"});
  names.add(WeightId::dt_weight, {prefix + "dt_proj.weight"});
  names.add(WeightId::dt_bias, {prefix + "dt_proj.bias"});
  names.add(WeightId::a_log, {prefix + "A_log"});
  names.add(WeightId::skip, {prefix + "D"});
  names.add(WeightId::scan_out, {prefix + "out_proj.weight"});
}

std::string kind_of(const BlockSpec& block) {
  const auto* attention = std::get_if<AttentionSpec>(&block.mixer);
  std::string kind = attention == nullptr ? "ssm" : attention->window ? "swa" : "attention";
  if (std::holds_alternative<DenseSpec>(block.feed_forward)) kind += "_mlp";
  if (std::holds_alternative<ExpertsSpec>(block.feed_forward)) kind += "_moe";
  return kind;
}

}  // namespace bitaxon
