#include "support/tuners.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/small_models.h"
#include "support/tensors.h"

namespace bitaxon::test {

void randomize_b(Tuner& tuner) {
  std::vector<float> values = tuner.read(ParameterVector::value);
  for (const ParameterRange& range : tuner.parameters()) {
    if (!range.name.ends_with("lora_b")) continue;
    const NamedTensor random =
        random_tensor({range.shape.elements()}, static_cast<std::uint32_t>(range.first), 0.02F);
    std::copy(random.values.begin(), random.values.end(), values.begin() + range.first);
  }
  tuner.write(ParameterVector::value, values);
}

TrainSequence random_sequence(std::size_t n, std::int64_t vocab_size, std::uint32_t seed,
                              std::size_t n_prompt) {
  std::vector<std::int32_t> ids = random_ids(n + 1, vocab_size, seed);
  TrainSequence made;
  made.labels.assign(ids.begin() + 1, ids.end());
  made.ids.assign(ids.begin(), ids.end() - 1);
  for (std::size_t i = 0; i + 1 < n_prompt && i < n; ++i) made.labels[i] = TrainSequence::kNoTarget;
  return made;
}

OptimizerSettings no_change() {
  OptimizerSettings settings;
  settings.learning_rate = settings.weight_decay = 0;
  settings.warmup_steps = 0;
  return settings;
}

FoundGradients gradients(Tuner& tuner, const std::vector<TrainSequence>& sequences) {
  FoundGradients found;
  found.result = tuner.update(sequences, no_change());
  found.values = tuner.read(ParameterVector::gradient);
  return found;
}

void expect_gradients(const Tuner& tuner, std::span<const float> actual,
                      std::span<const float> expected, double bound) {
  for (const ParameterRange& range : tuner.parameters()) {
    const auto first = static_cast<std::size_t>(range.first);
    const auto n = static_cast<std::size_t>(range.shape.elements());
    EXPECT_LE(relative_l2(actual.subspan(first, n), expected.subspan(first, n)), bound)
        << "gradient of " << range.name;
  }
}

}  // namespace bitaxon::test
