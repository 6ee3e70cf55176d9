// Tests of adapters of mlx-lm and PEFT for every kind of matrix of the families. What an adapter
// changes is compared with the formulas in float64.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "bitaxon/error.h"
#include "model/adapter_metadata.h"
#include "model/lora.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

using Tensors = std::map<std::string, NamedTensor>;
/// Element (i, j) of a matrix.
using Element = std::function<double(std::int64_t, std::int64_t)>;

constexpr const char* kMoe =
    R"({"model_type": "qwen3_moe", "vocab_size": 11, "hidden_size": 8, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 6, "num_experts": 3,
        "num_experts_per_tok": 1, "moe_intermediate_size": 5, "mlp_only_layers": [1],
        "intermediate_size": 7})";
constexpr const char* kJamba =
    R"({"model_type": "jamba", "vocab_size": 11, "hidden_size": 8, "num_hidden_layers": 2,
        "intermediate_size": 7, "num_attention_heads": 2, "num_key_value_heads": 1,
        "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 3, "expert_layer_period": 2,
        "expert_layer_offset": 0, "mamba_d_state": 2, "mamba_dt_rank": 4,
        "tie_word_embeddings": true})";

/// The element (i, j) of matrix `matrix` of a tensor, counted from its last two extents.
double at(const NamedTensor& tensor, std::int64_t i, std::int64_t j, std::int64_t matrix = 0) {
  const int rank = tensor.shape.rank();
  const std::int64_t rows = tensor.shape[rank - 2], cols = tensor.shape[rank - 1];
  return tensor.values[static_cast<std::size_t>((matrix * rows + i) * cols + j)];
}

class AdapterTest : public testing::Test {
 protected:
  /// Describes the model that the adapter is for.
  void use(const char* config) {
    std::vector<std::string> warnings;
    spec_ = describe_model(config, "config.json", warnings);
    weights_.clear();
    for (WeightSlot& slot : weight_slots(spec_)) {
      // A tied model has no head of its own.
      if (is_tied_head(spec_, slot)) continue;
      weights_.emplace_back().slot = std::move(slot);
    }
  }

  Adapter read(const Tensors& tensors, std::string_view config = {},
               std::optional<double> scale = {}) {
    write_tensors(folder_ / "adapter.safetensors", tensors);
    if (!config.empty()) folder_.write("adapter_config.json", config);
    file_.emplace(Checkpoint::open(folder_ / "adapter.safetensors"));
    const AdapterLayout layout = layout_of_adapter(*file_);
    return read_adapter(
        *file_, layout,
        read_adapter_config(folder_ / "adapter.safetensors", file_->metadata(), layout, scale),
        weights_, warnings_);
  }
  void expect_refused(const Tensors& tensors, ErrorKind kind,
                      std::initializer_list<std::string_view> fragments,
                      std::string_view config = {}) {
    expect_error([&] { read(tensors, config); }, kind, fragments);
  }

  const WeightSlot& slot(WeightKey key) const {
    for (const FoundWeight& weight : weights_)
      if (weight.slot.key == key) return weight.slot;
    throw std::out_of_range("no slot");
  }

  /// Expects that the adapter changes a matrix W as `factor` and the elements of its product say.
  /// `magnitudes` are those of DoRA, if any.
  void expect_change(const Adapter& adapter, WeightKey key, double factor, const Element& product,
                     std::int64_t matrix = 0, const std::vector<float>& magnitudes = {}) {
    const WeightSlot& to = slot(key);
    const Shape shape = matrix_shape(to);
    const NamedTensor base = random_tensor(shape, 9);
    std::vector<float> merged = base.values;
    change_of(adapter.weights.at(to.name()), shape[1])(0, merged);
    for (std::int64_t row = 0; row < shape[1]; ++row) {
      std::vector<double> expected;
      double squares = 0;
      for (std::int64_t col = 0; col < shape[2]; ++col) {
        expected.push_back(at(base, row, col, matrix) + factor * product(row, col));
        squares += expected.back() * expected.back();
      }
      for (std::int64_t col = 0; col < shape[2]; ++col) {
        const auto i = static_cast<std::size_t>(col);
        if (!magnitudes.empty())
          expected[i] *= double{magnitudes[static_cast<std::size_t>(row)]} / std::sqrt(squares);
        ASSERT_NEAR(merged[static_cast<std::size_t>((matrix * shape[1] + row) * shape[2] + col)],
                    expected[i], 1e-6 * std::abs(expected[i]) + 1e-9)
            << to.name() << " " << matrix << ": " << row << ", " << col;
      }
    }
  }

  TemporaryFolder folder_;
  ModelSpec spec_;
  std::vector<FoundWeight> weights_;
  std::optional<Checkpoint> file_;
  std::vector<std::string> warnings_;
};

/// Element (o, i) of a product of rank 2, from tensors a and b whose elements these functions give.
Element product(const Element& up, const Element& down) {
  return
      [=](std::int64_t o, std::int64_t i) { return up(o, 0) * down(0, i) + up(o, 1) * down(1, i); };
}

TEST_F(AdapterTest, MlxAdaptsEveryLinearLayerOfAScanAndOfExperts) {
  use(kJamba);
  const std::pair<WeightId, const char*> layers[] = {{WeightId::scan_in, "mamba.in_proj"},
                                                     {WeightId::scan_params, "mamba.x_proj"},
                                                     {WeightId::dt_weight, "mamba.dt_proj"},
                                                     {WeightId::scan_out, "mamba.out_proj"},
                                                     {WeightId::router, "feed_forward.router"}};
  for (const auto& [id, name] : layers) {
    const WeightKey key{id, 0};
    const std::string path = fmt::format("model.layers.0.{}", name);
    const Shape shape = slot(key).shape;
    const NamedTensor a = random_tensor({shape[1], 2}, 1), b = random_tensor({2, shape[0]}, 2);
    const Adapter adapter = read({{path + ".lora_a", a}, {path + ".lora_b", b}});
    expect_change(adapter, key, 20,
                  product([&](auto o, auto r) { return at(b, r, o); },
                          [&](auto r, auto i) { return at(a, i, r); }));
  }
}

TEST_F(AdapterTest, MlxAdaptsStacksOfExperts) {
  use(kMoe);
  const std::string path = "model.layers.0.mlp.switch_mlp.down_proj";
  const NamedTensor a = random_tensor({3, 2, 5}, 1), b = random_tensor({3, 8, 2}, 2);
  const Tensors tensors = {{path + ".lora_a", a}, {path + ".lora_b", b}};
  const Adapter adapter = read(tensors, R"({"lora_parameters": {"rank": 2, "scale": 3}})");
  for (std::int64_t expert = 0; expert < 3; ++expert)
    expect_change(adapter, {WeightId::experts_down, 0}, 3,
                  product([&](auto o, auto r) { return at(b, o, r, expert); },
                          [&](auto r, auto i) { return at(a, r, i, expert); }),
                  expert);
  // A part of the stack may begin at any row.
  const LoraLayers& layers = adapter.weights.begin()->second;
  std::vector<float> whole(3 * 8 * 5, 1), piece(5, 1);
  change_of(layers, 8)(0, whole);
  change_of(layers, 8, 2)(3, piece);
  EXPECT_TRUE(same_bits(piece, std::span(whole).subspan((2 * 8 + 3) * 5, 5)));

  Tensors other = tensors;
  other[path + ".lora_b"] = random_tensor({2, 8, 2}, 2);
  expect_refused(other, ErrorKind::format, {path + ".lora_b", "[3, 8, 2]", "[2, 8, 2]"});
  other = tensors;
  other[path + ".lora_a"] = random_tensor({2, 5}, 2);
  expect_refused(other, ErrorKind::format, {path + ".lora_a", "[3] of [rank, 5]", "[2, 5]"});
  other = tensors;
  other[path + ".m"] = random_tensor({3, 8}, 2);
  expect_refused(other, ErrorKind::unsupported, {path + ".m", "DoRA of a stack of experts"});
}

TEST_F(AdapterTest, MlxAdaptsAnEmbeddingAndItsLengths) {
  use(kJamba);
  const std::string path = "model.embed_tokens";
  const NamedTensor a = random_tensor({11, 2}, 1), b = random_tensor({2, 8}, 2);
  Tensors tensors = {{path + ".lora_a", a},
                     {path + ".lora_b", b},
                     {path + ".embedding.weight", random_tensor({11, 8}, 3)}};
  const Element expected = product([&](auto o, auto r) { return at(a, o, r); },
                                   [&](auto r, auto i) { return at(b, r, i); });
  expect_change(read(tensors), {WeightId::embedding}, 20, expected);
  const NamedTensor m = random_tensor({11}, 4);
  tensors[path + ".m"] = m;
  expect_change(read(tensors, R"({"fine_tune_type": "dora"})"), {WeightId::embedding}, 20, expected,
                0, m.values);
  tensors.erase(path + ".m");
  expect_refused(tensors, ErrorKind::format, {path + ".m", "adapter_config.json says DoRA"});
}

/// The tensors of one linear layer in PEFT's layout.
Tensors peft(const std::string& path, std::int64_t rank, std::int64_t n_in, std::int64_t n_out) {
  return {
      {"base_model.model." + path + ".lora_A.weight", random_tensor({rank, n_in}, 1)},
      {"base_model.model." + path + ".lora_B.weight", random_tensor({n_out, rank}, 2)},
  };
}

TEST_F(AdapterTest, PeftGivesEachLayerItsScale) {
  use(kMoe);
  const std::string path = "model.layers.1.mlp.gate_proj";
  Tensors tensors = peft(path, 2, 8, 7);
  const NamedTensor a = tensors.begin()->second, b = std::next(tensors.begin())->second;
  const Element expected = product([&](auto o, auto r) { return at(b, o, r); },
                                   [&](auto r, auto i) { return at(a, r, i); });
  const WeightKey key{WeightId::dense_gate, 1};
  const std::pair<const char*, double> scales[] = {
      {R"({"peft_type": "LORA", "r": 2, "lora_alpha": 5})", 2.5},
      {R"({"peft_type": "LORA", "r": 2, "lora_alpha": 5, "use_rslora": true})", 5 / std::sqrt(2.)},
      {R"({"peft_type": "LORA", "r": 2, "bias": "none", "modules_to_save": [],
           "init_lora_weights": "eva", "fan_in_fan_out": true})",
       4},
      {R"({"peft_type": "LORA", "r": 4, "lora_alpha": 5, "rank_pattern": {"gate_proj": 2},
           "alpha_pattern": {"up_proj": 9, "layers.1.mlp.gate_proj": 3}})",
       1.5},
      {R"({"peft_type": "LORA", "r": 2, "lora_alpha": 5,
           "alpha_pattern": {"ate_proj": 9, "^mlp.gate_proj": 9,
                             "^model\\.layers.1.mlp.gate_proj": 3}})",
       1.5}};
  for (const auto& [config, scale] : scales)
    expect_change(read(tensors, config), key, scale, expected);
  expect_change(read(tensors, scales[0].first, 7), key, 7, expected);

  const NamedTensor m = random_tensor({7}, 4);
  tensors["base_model.model." + path + ".lora_magnitude_vector"] = m;
  expect_change(
      read(tensors, R"({"peft_type": "LORA", "r": 2, "lora_alpha": 5, "use_dora": true})"), key,
      2.5, expected, 0, m.values);
}

TEST_F(AdapterTest, PeftAdaptsExpertsOneByOne) {
  use(kMoe);
  constexpr const char* kConfig = R"({"peft_type": "LORA", "r": 2, "lora_alpha": 2})";
  Tensors tensors = peft("model.layers.0.mlp.experts.2.up_proj", 2, 8, 5);
  const NamedTensor a = tensors.begin()->second, b = std::next(tensors.begin())->second;
  const WeightKey key{WeightId::experts_up, 0};
  const Adapter adapter = read(tensors, kConfig);
  expect_change(adapter, key, 1,
                product([&](auto o, auto r) { return at(b, o, r); },
                        [&](auto r, auto i) { return at(a, r, i); }),
                2);
  for (const std::int64_t other : {0, 1})
    expect_change(
        adapter, key, 0, [](auto, auto) { return 0; }, other);

  for (const char* path :
       {"model.layers.0.mlp.experts.3.up_proj", "model.layers.1.mlp.experts.0.up_proj",
        "model.layers.0.mlp.experts.-1.up_proj", "model.layers.0.mlp.experts.*.up_proj",
        "model.layers.0.mlp.experts"})
    expect_refused(peft(path, 2, 8, 5), ErrorKind::format,
                   {std::string(path) + ".lora_A.weight", "that this model has"}, kConfig);
  tensors.merge(peft("model.layers.0.mlp.experts.02.up_proj", 2, 8, 5));
  expect_refused(tensors, ErrorKind::format, {"one adapter of this matrix", "experts.02.up_proj"},
                 kConfig);
}

TEST_F(AdapterTest, PeftAdaptsAnEmbeddingThatIsNotTheHead) {
  use(kMoe);
  constexpr const char* kConfig = R"({"peft_type": "LORA", "r": 2, "lora_alpha": 6})";
  const std::string path = "base_model.model.model.embed_tokens";
  const NamedTensor a = random_tensor({2, 11}, 1), b = random_tensor({8, 2}, 2);
  Tensors tensors = {{path + ".lora_embedding_A", a},
                     {path + ".lora_embedding_B", b},
                     {path + ".base_layer.weight", random_tensor({11, 8}, 3)}};
  expect_change(read(tensors, kConfig), {WeightId::embedding}, 3,
                product([&](auto o, auto r) { return at(a, r, o); },
                        [&](auto r, auto i) { return at(b, i, r); }));
  tensors[path + ".lora_magnitude_vector"] = random_tensor({8}, 4);
  expect_refused(tensors, ErrorKind::unsupported,
                 {"lora_magnitude_vector", "DoRA of PEFT's embeddings"});
  tensors.erase(path + ".lora_magnitude_vector");
  tensors.erase(path + ".lora_embedding_B");
  expect_refused(tensors, ErrorKind::format, {"lora_embedding_A", "embed_tokens.lora_embedding_B"});
  expect_refused(peft("model.embed_tokens", 2, 8, 11), ErrorKind::format,
                 {"lora_A.weight", "embed_tokens.lora_embedding_B"});
  use(kJamba);
  expect_refused(tensors, ErrorKind::unsupported, {"embed_tokens", "also the head"});
}

TEST_F(AdapterTest, RefusesTensorsThatDoNotFitTheLayout) {
  use(kMoe);
  const std::string path = "model.layers.0.self_attn.q_proj";
  const std::string full = "base_model.model." + path;
  folder_.write("adapter_config.json", R"({"peft_type": "LORA", "r": 2, "lora_alpha": 2})");
  Tensors tensors = peft(path, 2, 8, 12);
  tensors[full + ".lora_B.weight"] = random_tensor({12, 3}, 1);
  expect_refused(tensors, ErrorKind::format, {full + ".lora_B.weight", "[12, 2]", "[12, 3]"});
  tensors = peft(path, 3, 8, 12);
  expect_refused(tensors, ErrorKind::format,
                 {"adapter_config.json: r: expected 3, the rank of the adapter of " + path});
  tensors = peft(path, 2, 8, 12);
  tensors[full + ".lora_B.bias"] = random_tensor({12}, 1);
  expect_refused(tensors, ErrorKind::format, {"got \"" + full + ".lora_B.bias\""});
  tensors = peft(path, 2, 8, 12);
  tensors["base_model.model.lm_head.weight"] = random_tensor({11, 8}, 1);
  expect_refused(tensors, ErrorKind::format, {"got \"base_model.model.lm_head.weight\""});
  tensors = peft(path, 2, 8, 12);
  tensors[path + ".lora_a"] = random_tensor({8, 2}, 1);
  expect_refused(tensors, ErrorKind::format, {"of mlx or of PEFT", path + ".lora_a"});
  tensors = peft(path, 2, 8, 12);
  tensors.erase(full + ".lora_A.weight");
  expect_refused(tensors, ErrorKind::format, {full + ".lora_B.weight", full + ".lora_A.weight"});
}

// ---- adapter_config.json

class AdapterConfigTest : public testing::Test {
 protected:
  void expect_refused(std::string_view config, AdapterLayout layout, ErrorKind kind,
                      std::initializer_list<std::string_view> fragments) {
    folder_.write("adapter_config.json", config);
    expect_error([&] { read_adapter_config(folder_ / "a.safetensors", {}, layout, {}); }, kind,
                 fragments);
  }

  TemporaryFolder folder_;
};

TEST_F(AdapterConfigTest, MlxHasADefaultScaleAndPeftHasNone) {
  const auto scale = [&](AdapterLayout layout, std::optional<double> wanted) {
    return read_adapter_config(folder_ / "a.safetensors", {}, layout, wanted).scale_of("q_proj", 8);
  };
  EXPECT_EQ(scale(AdapterLayout::mlx, {}), 20);
  EXPECT_EQ(scale(AdapterLayout::mlx, -2), -2);
  EXPECT_EQ(scale(AdapterLayout::peft, 3), 3);
  expect_error([&] { scale(AdapterLayout::peft, {}); }, ErrorKind::io,
               {"adapter_config.json: expected this file", "--lora-scale"});
  folder_.write("adapter_config.json", R"({"lora_parameters": {"scale": 10.0}})");
  EXPECT_EQ(scale(AdapterLayout::mlx, {}), 10);
  EXPECT_EQ(scale(AdapterLayout::mlx, 5), 5);
}

TEST_F(AdapterConfigTest, TheMetadataOfTheFileCountBeforeTheConfiguration) {
  folder_.write("adapter_config.json", R"({"lora_parameters": {"scale": 10.0}})");
  const auto read = [&](const std::map<std::string, std::string>& metadata,
                        std::optional<double> wanted) {
    return read_adapter_config(folder_ / "a.safetensors", metadata, AdapterLayout::mlx, wanted);
  };
  const auto metadata = metadata_of({.kind = AdapterKind::dora, .rank = 8, .scale = 2.5});
  EXPECT_EQ(read(metadata, {}).scale_of("q_proj", 8), 2.5);
  EXPECT_TRUE(read(metadata, {}).is_dora);
  EXPECT_EQ(read(metadata, 2.5).scale_of("q_proj", 8), 2.5);
  EXPECT_EQ(read({{"format", "mlx"}}, {}).scale_of("q_proj", 8), 10);
  expect_error([&] { read(metadata, 20); }, ErrorKind::invalid_argument,
               {"lora-scale: expected 2.5, the scale of ", "a.safetensors", "got 20"});
  expect_error([&] { read(metadata, {}).scale_of("q_proj", 4); }, ErrorKind::format,
               {"metadata \"rank\": expected 4", "got 8"});
}

TEST_F(AdapterConfigTest, RefusesWrongMetadata) {
  const auto refused = [&](const char* key, const char* value, ErrorKind kind,
                           std::string_view fragment) {
    auto metadata = metadata_of({.rank = 8, .scale = 20, .step = 3});
    metadata[key] = value;
    expect_error([&] { read_adapter_metadata(metadata, "a.safetensors"); }, kind,
                 {"a.safetensors: metadata", key, fragment});
  };
  refused("bitaxon_adapter", "2", ErrorKind::unsupported, "expected \"1\", got \"2\"");
  refused("kind", "full", ErrorKind::format, "expected \"lora\" or \"dora\", got \"full\"");
  refused("rank", "0", ErrorKind::format, "got \"0\"");
  refused("scale", "nan", ErrorKind::format, "got \"nan\"");
  refused("scale", "20 ", ErrorKind::format, "got \"20 \"");
  refused("step", "", ErrorKind::format, "got \"\"");
}

TEST_F(AdapterConfigTest, RefusesBrokenFilesOfMlx) {
  const auto refused = [&](std::string_view config, ErrorKind kind,
                           std::initializer_list<std::string_view> fragments) {
    expect_refused(config, AdapterLayout::mlx, kind, fragments);
  };
  refused("{", ErrorKind::format, {"adapter_config.json"});
  refused("", ErrorKind::format, {"adapter_config.json"});
  refused("[]", ErrorKind::format, {"adapter_config.json: expected a JSON object, got []"});
  refused(R"({"fine_tune_type": "full"})", ErrorKind::unsupported,
          {R"(fine_tune_type: expected "lora" or "dora", got "full")"});
  refused(R"({"lora_parameters": 3})", ErrorKind::format, {"lora_parameters: expected", "got 3"});
  refused(R"({"lora_parameters": {"scale": "4"}})", ErrorKind::format,
          {"lora_parameters.scale: expected a number > 0"});
}

TEST_F(AdapterConfigTest, RefusesBrokenFilesOfPeft) {
  const auto refused = [&](std::string_view keys, ErrorKind kind,
                           std::initializer_list<std::string_view> fragments) {
    expect_refused(fmt::format(R"({{"peft_type": "LORA", {}}})", keys), AdapterLayout::peft, kind,
                   fragments);
  };
  expect_refused("{}", AdapterLayout::peft, ErrorKind::format, {"peft_type: expected \"LORA\""});
  expect_refused(R"({"peft_type": "ADALORA"})", AdapterLayout::peft, ErrorKind::unsupported,
                 {R"(peft_type: expected "LORA", got "ADALORA")"});
  refused(R"("r": 0)", ErrorKind::format, {"r: expected a whole number", "got 0"});
  refused(R"("lora_alpha": -1)", ErrorKind::format, {"lora_alpha: expected a number > 0"});
  refused(R"("use_rslora": 1)", ErrorKind::format, {"use_rslora: expected true or false"});
  refused(R"("bias": "all")", ErrorKind::unsupported, {R"(bias: expected "none")", "\"all\""});
  for (const char* key : {"modules_to_save", "trainable_token_indices", "target_parameters",
                          "layer_replication", "alora_invocation_tokens", "use_bdlora"})
    refused(fmt::format(R"("{}": ["lm_head"])", key), ErrorKind::unsupported,
            {fmt::format("{}: expected nothing", key)});
  refused(R"("use_qalora": true)", ErrorKind::unsupported, {"use_qalora"});
  refused(R"("init_lora_weights": "pissa_niter_4")", ErrorKind::unsupported,
          {"init_lora_weights", "pissa_niter_4"});
  refused(R"("rank_pattern": 3)", ErrorKind::format, {"rank_pattern: expected an object, got 3"});
  refused(R"("alpha_pattern": {"q_proj": "8"})", ErrorKind::format,
          {"alpha_pattern: q_proj: expected a number > 0"});
  refused(R"("alpha_pattern": {"(q|k)_proj": 8})", ErrorKind::unsupported,
          {"alpha_pattern: expected names of layers", "(q|k)_proj"});
}

}  // namespace
}  // namespace bitaxon::test
