// Properties of training on the GPU, against the reference backend.
#include "training/tuner.h"

#include <gtest/gtest.h>

#include "bitaxon/devices.h"
#include "bitaxon/model_files.h"
#include "support/small_models.h"
#include "support/source_tree.h"
#include "support/tensors.h"
#include "support/tuners.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

TunerOptions options_of(AdapterKind kind, std::int64_t step_rows = 512) {
  TunerOptions options;
  options.adapter.kind = kind;
  options.adapter.rank = 3;
  options.adapter.scale = 4;
  options.max_tokens = 128;
  options.step_rows = step_rows;
  return options;
}

Tuner make(BaseModel base, std::shared_ptr<Backend> backend, const TunerOptions& options) {
  Tuner tuner(std::move(base), std::move(backend), options);
  randomize_b(tuner);
  return tuner;
}

BaseModel small_model() { return BaseModel::random(small_config().spec(), 7); }

std::vector<TrainSequence> sequences_for(const Tuner& tuner) {
  return {random_sequence(70, tuner.spec().vocab_size, 3),
          random_sequence(9, tuner.spec().vocab_size, 4)};
}

class VulkanFamilyTraining : public testing::TestWithParam<std::string> {};

TEST_P(VulkanFamilyTraining, AgreesWithTheReference) {
  const auto base = [] {
    std::vector<std::string> warnings;
    return BaseModel::of_files(model_files(golden_dir() / "families" / GetParam()), "", warnings);
  };
  TunerOptions options = options_of(AdapterKind::dora);
  options.adapter.dropout = 0.2;
  Tuner reference = make(base(), open_device("reference", {.n_threads = 2}).backend, options);
  Tuner gpu = make(base(), shared_vulkan_backend(), options);
  const auto sequences = sequences_for(gpu);
  const FoundGradients expected = gradients(reference, sequences);
  const FoundGradients actual = gradients(gpu, sequences);
  EXPECT_NEAR(actual.result.loss, expected.result.loss, 1e-5 * expected.result.loss);
  EXPECT_NEAR(actual.result.grad_norm, expected.result.grad_norm, 1e-4 * expected.result.grad_norm);
  expect_gradients(gpu, actual.values, expected.values, 1e-4);
}

const auto kBrief = testing::Values("qwen3moe_a", "falcon_mamba_a", "mlx_jamba_q4");
const auto kOthers = testing::Values("qwen2_a", "qwen3_a", "qwen3_window", "qwen3_yarn", "mamba_a",
                                     "jamba_a", "jamba_dense", "mlx_qwen3_q4", "mlx_qwen3_mxfp4",
                                     "bnb_qwen3_nf4", "bnb_qwen2_int8");
INSTANTIATE_TEST_SUITE_P(Brief, VulkanFamilyTraining, kBrief,
                         [](const auto& param) { return param.param; });
INSTANTIATE_TEST_SUITE_P(Exhaustive, VulkanFamilyTraining, kOthers,
                         [](const auto& param) { return param.param; });

TEST(VulkanTuner, GivesTheSameGradientsWhenStepsCutASequence) {
  Tuner whole = make(small_model(), shared_vulkan_backend(), options_of(AdapterKind::dora));
  Tuner cut = make(small_model(), shared_vulkan_backend(), options_of(AdapterKind::dora, 16));
  const auto sequences = sequences_for(whole);
  // Steps of few rows use other kernels, whose sums have another order. One rounding in every product
  // moves gradients by up to 3e-5.
  EXPECT_LE(relative_l2(gradients(cut, sequences).values, gradients(whole, sequences).values),
            1e-5);
}

TEST(VulkanTuner, GivesTheSameBitsIfActivationsAreKept) {
  TunerOptions options = options_of(AdapterKind::dora, 64);
  options.adapter.dropout = 0.2;
  Tuner again = make(small_model(), shared_vulkan_backend(), options);
  options.recompute = false;
  Tuner kept = make(small_model(), shared_vulkan_backend(), options);
  EXPECT_TRUE(same_bits(gradients(kept, sequences_for(kept)).values,
                        gradients(again, sequences_for(again)).values));
}

TEST(VulkanTuner, GivesTheSameBitsAgain) {
  std::vector<std::vector<float>> found;
  for (int i = 0; i < 2; ++i) {
    Tuner tuner = make(small_model(), shared_vulkan_backend(), options_of(AdapterKind::dora));
    for (int u = 0; u < 3; ++u) EXPECT_TRUE(tuner.update(sequences_for(tuner), {}).applied);
    found.push_back(tuner.read(ParameterVector::value));
  }
  EXPECT_TRUE(same_bits(found[0], found[1]));
}

TEST(ExhaustiveVulkanTuner, LearnsASequenceByHeart) {
  Tuner tuner = make(small_model(), shared_vulkan_backend(), options_of(AdapterKind::dora));
  OptimizerSettings settings;
  settings.learning_rate = 4e-3;
  settings.warmup_steps = 3;
  settings.max_steps = 40;
  const std::vector<TrainSequence> sequences = {random_sequence(24, tuner.spec().vocab_size, 8)};
  const double first = tuner.update(sequences, settings).loss;
  for (int i = 1; i < 40; ++i) tuner.update(sequences, settings);
  EXPECT_LT(tuner.evaluate(sequences).mean(), 0.7 * first);
}

}  // namespace
}  // namespace bitaxon::test
