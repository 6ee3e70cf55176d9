// Runs quantize, merge, inspect, evaluate, compare and benchmark on a recorded model of each family.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "model/inspection.h"
#include "model_folder.h"
#include "program.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

/// A tokenizer whose tokens are the printable ASCII characters.
std::string ascii_tokenizer() {
  Json vocabulary = {{"Ġ", 0}, {"Ċ", 1}};  // the blank and the line end
  for (char c = '!'; c <= '~'; ++c) vocabulary[std::string(1, c)] = vocabulary.size();
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  return Json{{"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}},
              {"pre_tokenizer", bytes},
              {"decoder", bytes}}
      .dump();
}

/// Matrix `index` of a tensor [n, rows, cols], or the whole of a matrix, as [rows, cols].
NamedTensor matrix_of(const NamedTensor& tensor, std::int64_t index, bool transposed) {
  const int rank = tensor.shape.rank();
  const std::int64_t rows = tensor.shape[rank - 2], cols = tensor.shape[rank - 1];
  const auto begin = tensor.values.begin() + index * rows * cols;
  NamedTensor matrix{{rows, cols}, {begin, begin + rows * cols}};
  if (!transposed) return matrix;
  NamedTensor result{{cols, rows}, matrix.values};
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c)
      result.values[static_cast<std::size_t>(c * rows + r)] =
          matrix.values[static_cast<std::size_t>(r * cols + c)];
  return result;
}

/// An adapter of rank 2 for every linear layer of a model, as mlx and as PEFT write it.
struct TwoAdapters {
  std::map<std::string, NamedTensor> mlx, peft;

  explicit TwoAdapters(const fs::path& model) {
    for (const FoundWeight& weight : inspect_files(model_files(model)).weights) {
      const WeightSlot& slot = weight.slot;
      if (slot.may_be_quantized() && slot.key.id != WeightId::embedding) add(slot);
    }
  }

 private:
  static std::string path_of(const std::string& name) {
    return name.substr(0, name.size() - std::string_view(".weight").size());
  }

  void add(const WeightSlot& slot) {
    const Shape& shape = slot.shape;
    const bool is_stack = shape.rank() == 3;
    const auto seed = static_cast<std::uint32_t>(mlx.size());
    const std::int64_t n_in = shape[shape.rank() - 1], n_out = shape[shape.rank() - 2];
    const NamedTensor a =
        random_tensor(is_stack ? Shape{shape[0], 2, n_in} : Shape{n_in, 2}, seed, 0.1F);
    const NamedTensor b =
        random_tensor(is_stack ? Shape{shape[0], n_out, 2} : Shape{2, n_out}, seed + 1, 0.1F);
    mlx[path_of(slot.name()) + ".lora_a"] = a;
    mlx[path_of(slot.name()) + ".lora_b"] = b;
    for (std::int64_t i = 0; i < (is_stack ? shape[0] : 1); ++i) {
      std::string path = path_of(slot.names[is_stack ? 1 : 0]);
      if (is_stack) path.replace(path.find('*'), 1, std::to_string(i));
      peft["base_model.model." + path + ".lora_A.weight"] = matrix_of(a, i, !is_stack);
      peft["base_model.model." + path + ".lora_B.weight"] = matrix_of(b, i, !is_stack);
    }
  }
};

class FamilyCli : public testing::TestWithParam<const char*> {
 protected:
  FamilyCli() {
    fs::create_directory(path("base"));
    copy_model(golden_dir() / "families" / GetParam(), base());
    write_file(path("base/tokenizer.json"), ascii_tokenizer());
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string base() const { return path("base"); }

  std::vector<float> logits(const std::string& model) const {
    const std::string out = path("logits.safetensors");
    run_well({"logits", "--ids", "1,2,3,40,5,66,7,130", "--out", out, "--device", "reference", "-m",
              model, "--quiet"});
    return read_f32(Checkpoint::open(out), "logits");
  }
  /// Merges an adapter with this scale into a model whose matrices become F32.
  void merge(const std::string& model, const std::string& adapter, const std::string& to,
             const char* scale) const {
    run_well({"merge", model, "-a", path(adapter), "-o", path(to), "--lora-scale", scale,
              "--no-re-quantize", "--dtype", "f32", "--quiet"});
  }

  TemporaryFolder folder_;
};

TEST_P(FamilyCli, MergesAdaptersOfEveryLayerOfMlxAndPeft) {
  const TwoAdapters adapters(base());
  write_tensors(path("mlx.safetensors"), adapters.mlx);
  write_tensors(path("peft.safetensors"), adapters.peft);
  const std::vector<float> before = logits(base());
  merge(base(), "mlx", "none", "0");
  EXPECT_LT(relative_l2(logits(path("none")), before), 1e-5);
  merge(base(), "mlx", "merged", "4");
  const std::vector<float> after = logits(path("merged"));
  EXPECT_GT(relative_l2(after, before), 0.01);
  merge(base(), "peft", "merged_peft", "4");
  EXPECT_TRUE(same_bits(logits(path("merged_peft")), after));
  merge(path("merged"), "mlx", "back", "-4");
  EXPECT_LT(relative_l2(logits(path("back")), before), 1e-4);
  // The new model has the layout of its base.
  const Checkpoint old_file = Checkpoint::open(base()), new_file = Checkpoint::open(path("merged"));
  std::set<std::string> names, written;
  for (const TensorInfo& tensor : old_file.tensors())
    if (!tensor.name.ends_with(".scales") && !tensor.name.ends_with(".biases"))
      names.insert(tensor.name);
  for (const TensorInfo& tensor : new_file.tensors()) written.insert(tensor.name);
  EXPECT_EQ(written, names);
}

TEST_P(FamilyCli, QuantizedModelsAreNearTheirFloats) {
  TwoAdapters adapters(base());
  write_tensors(path("mlx.safetensors"), adapters.mlx);
  merge(base(), "mlx", "floats", "0");
  const std::vector<float> floats = logits(path("floats"));
  for (const char* format : {"mlx", "nf4"}) {
    SCOPED_TRACE(format);
    const Json report = run_json({"quantize", path("floats"), "--format", format, "--group-size",
                                  "32", "-o", path(format), "--json", "--quiet"});
    const Json inspected = run_json({"inspect", path(format), "--json", "--quiet"});
    EXPECT_EQ(inspected["bytes"], report["total"]["bytes_after"]);
    const double error = relative_l2(logits(path(format)), floats);
    EXPECT_LT(error, 0.7);  // four bits disturb random weights much
    // Some models have no matrix whose rows divide into groups of 32.
    EXPECT_EQ(error > 0, report["total"]["relative_error"] > 0) << error;
  }
}

TEST_P(FamilyCli, InspectCountsEveryPart) {
  const Json json = run_json({"inspect", base(), "--check", "--tensors", "--json", "--quiet"});
  std::int64_t in_parts = 0, in_tensors = 0;
  for (const auto& [name, part] : json["parts"].items())
    in_parts += part["parameters"].get<std::int64_t>();
  for (const Json& tensor : json["tensors"]) {
    std::int64_t elements = 1;
    for (const Json& extent : tensor["shape"]) elements *= extent.get<std::int64_t>();
    in_tensors += elements;
  }
  EXPECT_EQ(json["parameters"], in_parts);
  EXPECT_EQ(json["parameters"], in_tensors);
  EXPECT_TRUE(json["not_finite"].empty());
  EXPECT_TRUE(json["warnings"].empty()) << json["warnings"];
  const std::string text = run_well({"inspect", base(), "--quiet"}).out;
  const std::string model = GetParam();
  const bool has_only_scans = model.find("mamba") != std::string::npos;
  EXPECT_EQ(text.find("fast, for any context length\n") != std::string::npos, has_only_scans)
      << text;
  for (const auto& [family, part] :
       {std::pair("qwen", "attention"), std::pair("mamba", "ssm"), std::pair("jamba", "ssm"),
        std::pair("jamba", "attention"), std::pair("moe", "experts")})
    EXPECT_TRUE(model.find(family) == std::string::npos || json["parts"].contains(part)) << part;
}

TEST_P(FamilyCli, EvaluatesATextWithItsTokenizer) {
  write_file(path("text.txt"), "The quick brown fox jumps over the lazy dog.\n");
  const Json json =
      run_json({"evaluate", "-m", base(), "--text", path("text.txt"), "--seq-length", "16",
                "--batch-size", "2", "--device", "reference", "--json", "--quiet"});
  EXPECT_EQ(json["tokens"], 44);
  EXPECT_GT(json["perplexity"].get<double>(), 1);
}

TEST_P(FamilyCli, ComparesAndBenchmarks) {
  const Arguments compare = {"compare", "-m",    base(),  "--a",          "reference", "--b",
                             "cpu",     "--ids", "1,2,3", "--max-tokens", "2",         "--quiet"};
  const Json compared = run_json(compare + Arguments{"--json", "--precision", "exact"});
  EXPECT_EQ(compared["verdict"], "agrees");
  const std::string text = run(compare).out;
  for (const Json& layer : compared["layers"])
    EXPECT_NE(text.find(" " + layer["kind"].get<std::string>() + " "), std::string::npos) << text;

  const Json measured =
      run_json({"benchmark", "-m", base(), "--device", "cpu", "-w", "0", "-i", "1", "-s", "5",
                "--decode-tokens", "3", "--profile", "--quiet", "--format", "json"});
  EXPECT_EQ(measured["records"].size(), 3U);
  for (const Json& profile : measured["devices"][0]["profiles"])
    EXPECT_FALSE(profile.empty()) << profile;
}

INSTANTIATE_TEST_SUITE_P(OneOfEach, FamilyCli,
                         testing::Values("qwen2_a", "qwen3_a", "qwen3moe_a", "mamba_a",
                                         "falcon_mamba_a", "jamba_a", "mlx_qwen2_q3",
                                         "mlx_qwen3_q4", "mlx_qwen3moe_q4", "mlx_mamba_q4",
                                         "mlx_falcon_mamba_q4", "mlx_jamba_q4"),
                         [](const auto& given) { return std::string(given.param); });

}  // namespace
}  // namespace bitaxon::test
