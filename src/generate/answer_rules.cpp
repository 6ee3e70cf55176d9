#include "generate/answer_rules.h"

namespace bitaxon {

std::vector<std::int32_t> fed_prompt(const ModelSpec& spec, std::int64_t position,
                                     std::span<const std::int32_t> prompt) {
  std::vector<std::int32_t> fed;
  if (spec.beginning && position == 0 && prompt.front() != *spec.beginning)
    fed.push_back(*spec.beginning);
  fed.insert(fed.end(), prompt.begin(), prompt.end());
  return fed;
}

std::vector<std::int32_t> ending_ids(const ModelSpec& spec, const Vocabulary* vocabulary,
                                     const GenerateOptions& options) {
  std::vector<std::int32_t> ends = options.stop_ids;
  if (options.ignore_eos) return ends;
  const auto add = [&ends](const std::vector<std::int32_t>& ids) {
    ends.insert(ends.end(), ids.begin(), ids.end());
  };
  if (vocabulary != nullptr) add(vocabulary->ends_of_sequence());
  add(spec.ends);
  return ends;
}

}  // namespace bitaxon
