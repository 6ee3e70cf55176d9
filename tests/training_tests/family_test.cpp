// Training of a tiny model of every family: gradients agree with differences of the loss and between
// devices, and the loss falls.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "bitaxon/devices.h"
#include "bitaxon/model_files.h"
#include "support/source_tree.h"
#include "support/tuners.h"

namespace bitaxon::test {
namespace {

Tuner make(const std::string& folder, const std::string& device, AdapterKind kind,
           bool recompute = true) {
  TunerOptions options;
  options.recompute = recompute;
  options.adapter.kind = kind;
  options.adapter.rank = 3;
  options.adapter.scale = 4;
  options.max_tokens = 64;
  std::vector<std::string> warnings;
  Tuner tuner(BaseModel::of_files(model_files(golden_dir() / "families" / folder), "", warnings),
              open_device(device, {.n_threads = 2}).backend, options);
  randomize_b(tuner);
  return tuner;
}

/// Sequences whose rows are not near a tie of two experts. There the loss jumps.
std::vector<TrainSequence> sequences_for(const Tuner& tuner) {
  return {random_sequence(25, tuner.spec().vocab_size, 31),
          random_sequence(9, tuner.spec().vocab_size, 32)};
}

class FamilyTraining : public testing::TestWithParam<std::string> {};
class LengthyFamilyTraining : public FamilyTraining {};

TEST_P(LengthyFamilyTraining, GradientsAgreeWithDifferences) {
  for (const AdapterKind kind : {AdapterKind::lora, AdapterKind::dora}) {
    Tuner tuner = make(GetParam(), "reference", kind);
    const auto sequences = sequences_for(tuner);
    const std::vector<float> found = gradients(tuner, sequences).values;
    const std::vector<float> values = tuner.read(ParameterVector::value);
    const double all =
        std::sqrt(std::inner_product(found.begin(), found.end(), found.begin(), 0.0));
    ASSERT_TRUE(std::isfinite(all));
    // Along the gradient of one tensor, the loss rises by the norm of this gradient. The norms of
    // DoRA are constants in the gradient but not in the loss, so A and B need LoRA.
    for (const ParameterRange& range : tuner.parameters()) {
      if (kind == AdapterKind::dora && !range.name.ends_with(".m")) continue;
      const auto first = static_cast<std::size_t>(range.first);
      const auto n = static_cast<std::size_t>(range.shape.elements());
      const std::span gradient = std::span(found).subspan(first, n);
      const double norm =
          std::sqrt(std::inner_product(gradient.begin(), gradient.end(), gradient.begin(), 0.0));
      if (norm < 1e-3 * all) continue;  // the float32 loss does not show such a small slope
      // A step must change the loss by more than its rounding, and stay where the loss is smooth.
      const double step = std::min(2e-3 / norm, 1e-2);
      const auto loss_at = [&](double sign) {
        std::vector<float> moved = values;
        for (std::size_t i = 0; i < n; ++i)
          moved[first + i] += static_cast<float>(sign * step * double{gradient[i]} / norm);
        tuner.write(ParameterVector::value, moved);
        return tuner.evaluate(sequences).mean();
      };
      const double slope = (loss_at(1) - loss_at(-1)) / (2 * step);
      EXPECT_NEAR(slope / norm, 1, 1e-2 + 1e-6 / (step * norm)) << range.name;
    }
  }
}

TEST_P(FamilyTraining, KeptActivationsGiveTheSameBits) {
  Tuner again = make(GetParam(), "cpu", AdapterKind::dora);
  Tuner kept = make(GetParam(), "cpu", AdapterKind::dora, false);
  const auto sequences = sequences_for(kept);
  EXPECT_EQ(gradients(kept, sequences).values, gradients(again, sequences).values);
}

TEST_P(FamilyTraining, CpuAgreesWithTheReference) {
  for (const AdapterKind kind : {AdapterKind::lora, AdapterKind::dora}) {
    Tuner reference = make(GetParam(), "reference", kind);
    Tuner cpu = make(GetParam(), "cpu", kind);
    const auto sequences = sequences_for(cpu);
    const FoundGradients expected = gradients(reference, sequences);
    const FoundGradients actual = gradients(cpu, sequences);
    EXPECT_NEAR(actual.result.loss, expected.result.loss, 1e-5 * expected.result.loss);
    expect_gradients(cpu, actual.values, expected.values, 1e-4);
  }
}

TEST_P(FamilyTraining, TheLossFalls) {
  Tuner tuner = make(GetParam(), "cpu", AdapterKind::dora);
  const auto sequences = sequences_for(tuner);
  OptimizerSettings settings;
  settings.learning_rate = 3e-3;
  settings.warmup_steps = 3;
  settings.max_steps = 40;
  const double first = tuner.update(sequences, settings).loss;
  for (int i = 1; i < 40; ++i) ASSERT_TRUE(tuner.update(sequences, settings).applied);
  EXPECT_LT(tuner.evaluate(sequences).mean(), 0.7 * first);
}

const auto kModels =
    testing::Values("qwen2_a", "qwen3_a", "qwen3_window", "qwen3_yarn", "qwen3moe_a", "mamba_a",
                    "falcon_mamba_a", "jamba_a", "jamba_dense", "mlx_qwen3_q4", "mlx_qwen3_mxfp4",
                    "mlx_jamba_q4", "bnb_qwen3_nf4", "bnb_qwen2_int8");
INSTANTIATE_TEST_SUITE_P(, FamilyTraining, kModels, [](const auto& param) { return param.param; });
INSTANTIATE_TEST_SUITE_P(, LengthyFamilyTraining, kModels,
                         [](const auto& param) { return param.param; });

}  // namespace
}  // namespace bitaxon::test
