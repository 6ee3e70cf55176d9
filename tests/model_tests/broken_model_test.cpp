// Breaks recorded models of the families: tensors that are missing, that have another shape or type,
// or that exist twice. Each model must be refused with one line that names the tensor.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <functional>
#include <map>

#include "bitaxon/error.h"
#include "format_tests/stored_tensor.h"
#include "model/inspection.h"
#include "platform/file.h"
#include "support/errors.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

/// The tensors of a checkpoint by name.
using Tensors = std::map<std::string, StoredTensor>;

Tensors tensors_in(const fs::path& path) {
  const Checkpoint file = Checkpoint::open(path);
  Tensors tensors;
  for (const TensorInfo& tensor : file.tensors()) {
    const std::vector<std::byte> bytes = bytes_of(file, tensor.name);
    tensors[tensor.name] = {tensor.name, tensor.dtype, tensor.shape,
                            std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())};
  }
  return tensors;
}

void set(Tensors& tensors, const StoredTensor& tensor) { tensors[tensor.name] = tensor; }
/// Replaces a tensor by zeros of the same type and another shape.
void reshape(Tensors& tensors, const std::string& name, StoredShape shape) {
  set(tensors, zeros(name, tensors.at(name).dtype, std::move(shape)));
}

struct Broken {
  const char* what;
  const char* model;  ///< a folder of tests/golden/families
  std::function<void(Tensors&)> break_it;
  ErrorKind kind;
  std::vector<std::string> fragments;  ///< of the message
};

constexpr const char* kExpert = "model.layers.0.mlp.experts.3.up_proj.weight";
constexpr const char* kStack = "model.layers.0.feed_forward.switch_mlp.gate_proj";
constexpr const char* kMixer = "backbone.layers.1.mixer.";

std::function<void(Tensors&)> without(std::string name) {
  return [=](Tensors& tensors) { ASSERT_EQ(tensors.erase(name), 1U) << name; };
}
std::function<void(Tensors&)> reshaped(std::string name, StoredShape shape) {
  return [=](Tensors& tensors) { reshape(tensors, name, shape); };
}

std::vector<Broken> broken_experts() {
  const ErrorKind format = ErrorKind::format;
  return {
      {"an expert without a matrix",
       "qwen3moe_a",
       without(kExpert),
       format,
       {"model.layers.0.mlp.experts.*.up_proj.weight", "6 experts", "none for 3"}},
      {"a first expert without a matrix",
       "qwen3moe_a",
       without("model.layers.0.mlp.experts.0.up_proj.weight"),
       format,
       {"model.layers.0.mlp.switch_mlp.up_proj.weight or "
        "model.layers.0.mlp.experts.*.up_proj.weight: expected [6, 24, 48], got none"}},
      {"an expert of another size",
       "qwen3moe_a",
       reshaped(kExpert, Shape{25, 48}),
       format,
       {kExpert, "expected [24, 48], got F32 [25, 48]"}},
      {"an expert of whole numbers",
       "qwen3moe_a",
       [](Tensors& tensors) {
         set(tensors, zeros(kExpert, DType::i32, Shape{24, 48}));
       },
       format,
       {kExpert}},
      {"no router",
       "qwen3moe_a",
       without("model.layers.2.mlp.gate.weight"),
       format,
       {"model.layers.2.mlp.gate.weight: expected [6, 48], got none"}},
      {"experts in a layer that config.json calls dense",
       "qwen3moe_a",
       [](Tensors& tensors) {
         for (const char* name : {"gate", "up", "down"})
           tensors.erase(fmt::format("model.layers.1.mlp.{}_proj.weight", name));
       },
       format,
       {"model.layers.1.mlp.gate_proj.weight: expected [72, 48], got none"}},
      {"experts as a stack and one by one",
       "qwen3moe_a",
       [](Tensors& tensors) {
         set(tensors,
             zeros("model.layers.0.mlp.switch_mlp.up_proj.weight", DType::f32, Shape{6, 24, 48}));
       },
       format,
       {"experts.0.up_proj.weight\": expected none", "switch_mlp.up_proj.weight"}},
      {"a stack with too few experts",
       "mlx_jamba_q4",
       reshaped(std::string(kStack) + ".weight", Shape{3, 64, 16}),
       format,
       {kStack, "expected [4, 64, 128]", "U32 [3, 64, 16]"}},
      {"a stack whose scales have too few experts",
       "mlx_jamba_q4",
       reshaped(std::string(kStack) + ".scales", Shape{3, 64, 2}),
       format,
       {std::string(kStack) + ".scales", "BF16 [3, 64, 2]"}},
      {"two names of Jamba's experts",
       "mlx_jamba_q4",
       [](Tensors& tensors) {
         set(tensors,
             zeros("model.layers.0.moe.experts.0.gate_proj.weight", DType::bf16, Shape{64, 128}));
       },
       format,
       {"model.layers.0.moe.experts.0.gate_proj.weight", "expected none"}},
  };
}

std::vector<Broken> broken_scans() {
  const ErrorKind format = ErrorKind::format;
  const std::string mixer = kMixer;
  return {
      {"no projection of time steps",
       "falcon_mamba_a",
       without(mixer + "dt_proj.weight"),
       format,
       {"dt_proj.weight: expected [96, 8], got none"}},
      {"no bias of time steps",
       "falcon_mamba_a",
       without(mixer + "dt_proj.bias"),
       format,
       {"dt_proj.bias: expected [96], got none"}},
      {"parameters without a time step",
       "falcon_mamba_a",
       reshaped(mixer + "x_proj.weight", Shape{32, 96}),
       format,
       {"x_proj.weight", "expected [40, 96], got F32 [32, 96]"}},
      {"taps of an unknown layout",
       "falcon_mamba_a",
       reshaped(mixer + "conv1d.weight", Shape{4, 96, 1}),
       format,
       {"conv1d.weight", "expected [96, 4, 1]", "got F32 [4, 96, 1]"}},
      {"fewer states than config.json says",
       "falcon_mamba_a",
       reshaped(mixer + "A_log", Shape{96, 8}),
       format,
       {"A_log", "expected [96, 16], got F32 [96, 8]"}},
      {"a vector of integers",
       "falcon_mamba_a",
       [=](Tensors& tensors) { set(tensors, zeros(mixer + "D", DType::i32, Shape{96})); },
       format,
       {"mixer.D", "expected F32, F16 or BF16 [96]", "I32"}},
      {"no head of its own",
       "falcon_mamba_a",
       without("lm_head.weight"),
       format,
       {"lm_head.weight: expected [131, 40]", "the embedding is not the head"}},
      {"two embeddings",
       "falcon_mamba_a",
       [](Tensors& tensors) {
         set(tensors, zeros("backbone.embedding.weight", DType::f32, Shape{131, 40}));
       },
       format,
       {"backbone.embedding.weight", "expected none", "backbone.embeddings.weight"}},
      {"no norm of B",
       "jamba_a",
       without("model.layers.2.mamba.b_layernorm.weight"),
       format,
       {"model.layers.2.mamba.b_layernorm.weight: expected [16], got none"}},
      {"attention where config.json says a scan",
       "jamba_a",
       [](Tensors& tensors) {
         for (auto it = tensors.begin(); it != tensors.end();)
           it = it->first.starts_with("model.layers.0.mamba") ? tensors.erase(it) : std::next(it);
       },
       format,
       {"model.layers.0.mamba.in_proj.weight: expected [144, 36], got none"}},
  };
}

std::vector<Broken> broken_attention_and_codes() {
  const ErrorKind format = ErrorKind::format;
  const std::string query = "model.layers.1.self_attn.q_proj";
  return {
      {"other heads",
       "qwen3_a",
       reshaped(query + ".weight", Shape{96, 48}),
       format,
       {query, "expected [144, 48], got F32 [96, 48]"}},
      {"no norm of queries",
       "qwen3_a",
       without("model.layers.1.self_attn.q_norm.weight"),
       format,
       {"q_norm.weight: expected [24], got none"}},
      {"no bias of queries",
       "qwen2_a",
       without(query + ".bias"),
       format,
       {query + ".bias: expected [60], got none"}},
      {"fewer ids than config.json says",
       "qwen2_a",
       reshaped("model.embed_tokens.weight", Shape{130, 60}),
       format,
       {"model.embed_tokens.weight", "expected [131, 60], got F32 [130, 60]"}},
      {"no scales",
       "mlx_qwen3_q4",
       without(query + ".scales"),
       format,
       {query + ".weight", query + ".scales", "missing"}},
      {"no affine biases",
       "mlx_qwen3_q4",
       without(query + ".biases"),
       format,
       {query + ".weight", query + ".biases", "missing"}},
      {"groups of 16",
       "mlx_qwen3_q4",
       reshaped(query + ".scales", Shape{192, 8}),
       format,
       {query + ".scales", "32, 64 or 128", "BF16 [192, 8]"}},
      {"affine biases of another shape",
       "mlx_qwen3_q4",
       reshaped(query + ".biases", Shape{192, 4}),
       format,
       {query + ".biases", "the shape of the scales", "BF16 [192, 4]"}},
      {"codes of 7 bits",
       "mlx_qwen3_q4",
       reshaped(query + ".weight", Shape{192, 28}),
       format,
       {query + ".weight", "2, 3, 4, 5, 6 or 8 bits", "U32 [192, 28]"}},
      {"codes that config.json describes otherwise",
       "mlx_qwen3_q4",
       [=](Tensors& tensors) {
         reshape(tensors, query + ".weight", Shape{192, 32});
       },
       format,
       {query, "config.json"}},
      {"scales of MX in an affine model",
       "mlx_qwen3_q4",
       [=](Tensors& tensors) {
         set(tensors, zeros(query + ".scales", DType::u8, Shape{192, 2}));
       },
       format,
       {query + ".scales", "U8 [192, 2]"}},
      {"no map of NF4",
       "bnb_qwen3_nf4",
       without(query + ".weight.quant_map"),
       format,
       {query + ".weight", "quant_map"}},
      {"no description of NF4",
       "bnb_qwen3_nf4",
       without(query + ".weight.quant_state.bitsandbytes__nf4"),
       format,
       {query + ".weight", "quant_state"}},
      {"int8 without scales",
       "bnb_qwen2_int8",
       without(query + ".SCB"),
       format,
       {query + ".weight", query + ".SCB"}},
      {"int8 with scales for columns",
       "bnb_qwen2_int8",
       reshaped("model.layers.0.mlp.down_proj.SCB", Shape{96}),
       format,
       {"model.layers.0.mlp.down_proj.SCB", "[60]", "[96]"}},
  };
}

class BrokenModel : public testing::TestWithParam<Broken> {};

TEST_P(BrokenModel, IsRefusedWithOneLine) {
  const Broken& broken = GetParam();
  const fs::path from = golden_dir() / "families" / broken.model;
  Tensors tensors = tensors_in(from / "model.safetensors");
  broken.break_it(tensors);
  const TemporaryFolder folder;
  fs::copy_file(from / "config.json", folder / "config.json");
  std::vector<StoredTensor> list;
  for (const auto& [name, tensor] : tensors) list.push_back(tensor);
  write_checkpoint(folder / "model.safetensors", list);
  expect_error([&] { inspect_files(model_files(folder.path())); }, broken.kind, {});
  try {
    inspect_files(model_files(folder.path()));
  } catch (const Error& error) {
    const std::string_view message = error.what();
    for (const std::string& fragment : broken.fragments)
      EXPECT_NE(message.find(fragment), message.npos) << message << "\nshould hold: " << fragment;
  }
}

std::string name_of_broken(const testing::TestParamInfo<Broken>& info) {
  std::string name = info.param.what;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Experts, BrokenModel, testing::ValuesIn(broken_experts()), name_of_broken);
INSTANTIATE_TEST_SUITE_P(Scans, BrokenModel, testing::ValuesIn(broken_scans()), name_of_broken);
INSTANTIATE_TEST_SUITE_P(AttentionAndCodes, BrokenModel,
                         testing::ValuesIn(broken_attention_and_codes()), name_of_broken);

TEST(BrokenShards, AMissingShardIsNamed) {
  const TemporaryFolder folder;
  const fs::path from = golden_dir() / "families/qwen3moe_shards";
  for (const char* name :
       {"config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors"})
    fs::copy_file(from / name, folder / name);
  expect_error([&] { inspect_files(model_files(folder.path())); }, ErrorKind::io,
               {"model-00002-of-00002.safetensors"});
}

}  // namespace
}  // namespace bitaxon::test
