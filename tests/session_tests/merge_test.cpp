// Merges recorded adapters of mlx-lm and PEFT into their bases and compares the logits of the new
// models with the recorded ones.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "bitaxon/rewrite.h"
#include "formats/json.h"
#include "support/golden_cases.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

/// The bounds of recorded cases for the device "reference".
constexpr GoldenBound kExact = {1e-5, 4};

fs::path family_folder(const std::string& name) { return golden_dir() / "families" / name; }

/// The logits of a model on the device "reference".
std::vector<float> logits_of(const fs::path& model, std::span<const std::int32_t> ids) {
  OpenModel open = open_model("reference", 1, model);
  State state = open.model.new_state();
  return feed_all(open.model, state, ids);
}

/// A recorded adapter and its base.
class RecordedAdapter : public testing::Test {
 protected:
  void use(const std::string& name) {
    adapter_ = family_folder(name);
    std::ifstream file(adapter_ / "case.json");
    // The folder of the base also has tensors that do not belong to the model.
    base_ = family_folder(Json::parse(file)["base"].get<std::string>()) / "model.safetensors";
    io_.emplace(Checkpoint::open(adapter_ / "io.safetensors"));
    ids_ = read_i32(*io_, "ids_30");
    recorded_ = read_f32(*io_, "logits_30");
    recorded_base_ = read_f32(*io_, "base_logits_30");
  }

  void merge(const MergeOptions& options) {
    fs::remove_all(merged_);
    Rewrite rewrite = Rewrite::merge(model_files(base_), options);
    EXPECT_TRUE(rewrite.warnings().empty());
    ASSERT_TRUE(rewrite.write(merged_).has_value());
  }
  /// Compares the logits of a model with recorded ones.
  void expect_logits(const fs::path& model, const std::vector<float>& recorded,
                     const GoldenBound& bound) {
    expect_within(bound, {model.string(), std::ssize(ids_), logits_of(model, ids_), recorded});
  }

  TemporaryFolder folder_;
  fs::path merged_ = folder_ / "merged";
  fs::path adapter_, base_;
  std::optional<Checkpoint> io_;
  std::vector<std::int32_t> ids_;
  std::vector<float> recorded_, recorded_base_;
};

TEST_F(RecordedAdapter, OfPeftGivesTheRecordedLogits) {
  use("lora_peft_qwen3");
  expect_logits(base_, recorded_base_, kExact);
  merge({.adapter = adapter_});
  expect_logits(merged_, recorded_, kExact);
  const Checkpoint before = Checkpoint::open(base_), after = Checkpoint::open(merged_);
  ASSERT_EQ(after.tensors().size(), before.tensors().size());
  for (const TensorInfo& tensor : before.tensors())
    EXPECT_EQ(after.find(tensor.name)->shape, tensor.shape) << tensor.name;
}

TEST_F(RecordedAdapter, OfMlxGivesTheRecordedLogitsInFloats) {
  use("lora_mlx_qwen3");
  expect_logits(base_, recorded_base_, kExact);
  merge({.adapter = adapter_, .re_quantize = false, .dtype = DType::f32});
  expect_logits(merged_, recorded_, kExact);
  // The base has BF16 scales, so its matrices become BF16.
  merge({.adapter = adapter_, .re_quantize = false});
  expect_logits(merged_, recorded_, {1e-2, 3});
  EXPECT_EQ(info_of(Checkpoint::open(merged_), "model.embed_tokens.weight").dtype, DType::bf16);
}

TEST_F(RecordedAdapter, OfMlxKeepsTheFormatsOfItsBase) {
  use("lora_mlx_qwen3");
  merge({.adapter = adapter_});
  const Checkpoint before = Checkpoint::open(base_), after = Checkpoint::open(merged_);
  ASSERT_EQ(after.tensors().size(), before.tensors().size());
  for (const TensorInfo& tensor : before.tensors())
    EXPECT_EQ(describe(*after.find(tensor.name)), describe(tensor)) << tensor.name;
  // Four bits change the logits less than the adapter does.
  const double kept = relative_l2(logits_of(merged_, ids_), recorded_);
  EXPECT_LT(kept, relative_l2(recorded_base_, recorded_) / 2);
  EXPECT_GT(kept, 1e-3);
}

}  // namespace
}  // namespace bitaxon::test
