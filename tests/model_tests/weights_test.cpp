// Builds models from the tensors of a checkpoint. Some tensors are missing, unknown, tied, in
// shards, or have a wrong shape.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <fstream>

#include "format_tests/stored_tensor.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

class WeightFiles : public testing::Test {
 protected:
  void write() { write_model(folder_.path(), stored_); }

  Model load(const std::filesystem::path& path) {
    warnings_.clear();
    return Model::load(backend_, model_files(path), {}, warnings_);
  }
  Model load() { return load(folder_.path()); }

  void expect_refused(std::initializer_list<std::string_view> fragments,
                      ErrorKind kind = ErrorKind::format) {
    expect_error([&] { load(); }, kind, fragments);
  }

  std::vector<float> logits_of(Model& model) {
    State state = model.new_state();
    return feed_all(model, state, ids_);
  }
  std::vector<float> logits() {
    Model model = load();
    return logits_of(model);
  }

  TemporaryFolder folder_;
  std::shared_ptr<Backend> backend_ = open_device("cpu", {.n_threads = 1}).backend;
  StoredModel stored_ = random_stored(small_config(), 5);
  std::vector<std::string> warnings_;
  std::vector<std::int32_t> ids_ = random_ids(25, small_config().vocab_size, 1);
};

TEST_F(WeightFiles, ACompleteModelLoadsWithoutWarnings) {
  write();
  const auto from_folder = logits();
  EXPECT_TRUE(warnings_.empty());
  Model model = load(folder_ / "model.safetensors");
  EXPECT_TRUE(same_bits(logits_of(model), from_folder));
}

TEST_F(WeightFiles, AnyMissingTensorIsNamed) {
  const auto all = stored_.tensors;
  for (const auto& [name, tensor] : all) {
    stored_.tensors = all;
    stored_.tensors.erase(name);
    write();
    expect_refused({folder_.path().string(), name, tensor.shape.to_string(), "got none"});
  }
}

TEST_F(WeightFiles, AnyTensorOfAWrongShapeIsNamedWithBothShapes) {
  const auto all = stored_.tensors;
  for (const auto& [name, tensor] : all) {
    stored_.tensors = all;
    // First the tensor has one row more than it should. Then it has only one axis.
    std::vector<std::int64_t> dims(tensor.shape.dims().begin(), tensor.shape.dims().end());
    ++dims[0];
    NamedTensor& longer = stored_.tensors[name];
    longer.shape = Shape(dims);
    longer.values.resize(static_cast<std::size_t>(longer.shape.elements()));
    write();
    expect_refused({name, tensor.shape.to_string(), longer.shape.to_string()});
    if (tensor.shape.rank() == 1) continue;
    longer = {Shape{tensor.shape.elements()}, tensor.values};
    write();
    expect_refused({name, tensor.shape.to_string(), longer.shape.to_string()});
  }
}

TEST_F(WeightFiles, AWrongTypeIsNamed) {
  for (const char* wrong : {"layer_0.ssm.A_log", "layer_2.attention.q_proj.weight"}) {
    std::vector<SafetensorsWriter::Spec> specs;
    for (const auto& [name, tensor] : stored_.tensors)
      specs.push_back({name, name == wrong ? DType::i32 : DType::f32, tensor.shape});
    write_text(folder_ / "config.json", stored_.config.to_json());
    SafetensorsWriter writer(folder_ / "model.safetensors", specs);
    for (const auto& [name, tensor] : stored_.tensors)
      writer.write(std::as_bytes(std::span(tensor.values)));
    writer.commit();
    expect_refused({wrong, "I32", stored_.tensors.at(wrong).shape.to_string()});
  }
}

TEST_F(WeightFiles, AConfigurationOfAnotherModelIsRefused) {
  write();
  BitAxonConfig other = stored_.config;
  other.hidden_dim = 48;
  write_text(folder_ / "config.json", other.to_json());
  expect_refused({"input_proj.weight", "[48, 20]", "[24, 20]"});
  other = stored_.config;
  other.num_layers = 7;
  write_text(folder_ / "config.json", other.to_json());
  expect_refused({"layer_6", "got none"});
}

TEST_F(WeightFiles, ConfigJsonIsNeeded) {
  write();
  std::filesystem::remove(folder_ / "config.json");
  expect_refused({"config.json"}, ErrorKind::io);
  write_text(folder_ / "config.json", "{\"vocab_size\": \"many\"}");
  expect_refused({(folder_ / "config.json").string(), "vocab_size", "many"});
}

TEST_F(WeightFiles, AnAdapterIsNotAModel) {
  for (const char* name : {"adapters.safetensors", "adapter_model.safetensors"}) {
    TemporaryFolder folder;
    write_tensors(folder / name, {{"x.lora_a", {{1}, {0}}}});
    if (name == std::string("adapter_model.safetensors"))
      write_text(folder / "adapter_config.json", "{}");
    expect_error([&] { load(folder.path()); }, ErrorKind::io,
                 {folder.path().string(), "expected a model, got an adapter"});
  }
}

TEST_F(WeightFiles, UnknownTensorsGiveOneWarning) {
  write();
  const auto expected = logits();
  stored_.tensors["zz.extra"] = {Shape{2, 3}, std::vector<float>(6)};
  write();
  EXPECT_TRUE(same_bits(logits(), expected));
  ASSERT_EQ(warnings_.size(), 1u);
  for (const char* fragment : {"1 tensor ", "zz.extra", "[2, 3]"})
    EXPECT_NE(warnings_[0].find(fragment), std::string::npos) << warnings_[0];
  stored_.tensors["a\nb"] = {Shape{1}, std::vector<float>(1)};
  stored_.tensors["zz.other"] = {Shape{1}, std::vector<float>(1)};
  write();
  EXPECT_TRUE(same_bits(logits(), expected));
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("3 tensors "), std::string::npos) << warnings_[0];
  EXPECT_EQ(warnings_[0].find('\n'), std::string::npos);
}

TEST_F(WeightFiles, UnknownTensorsMayHaveAnyTypeAndRank) {
  write();
  const auto expected = logits();
  const std::pair<const char*, StoredShape> kinds[] = {
      {"BOOL", {1}},    {"F64", {2}},        {"I8", {3}},
      {"I16", {1}},     {"U16", {1}},        {"U64", {}},
      {"F8_E4M3", {5}}, {"C64", {1}},        {"F4", {2, 3}},
      {"F6_E3M2", {4}}, {"F8_E8M0", {0, 4}}, {"F32", {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2}}};
  for (const auto& [type, shape] : kinds) {
    SCOPED_TRACE(type);
    write_checkpoint(folder_ / "zz.safetensors",
                     {zeros("rotary.mask", StoredType::named(type).value(), shape)});
    EXPECT_TRUE(same_bits(logits(), expected));
    ASSERT_EQ(warnings_.size(), 1u);
    for (const std::string& fragment :
         {std::string("rotary.mask"), std::string(type) + " " + shape.to_string()})
      EXPECT_NE(warnings_[0].find(fragment), std::string::npos) << warnings_[0];
  }
}

TEST_F(WeightFiles, AnUnsupportedTypeOfANeededTensorIsAnError) {
  const NamedTensor a_log = stored_.tensors.at("layer_0.ssm.A_log");
  stored_.tensors.erase("layer_0.ssm.A_log");
  write();
  write_checkpoint(
      folder_ / "other.safetensors",
      {zeros("layer_0.ssm.A_log", StoredType::named("F64").value(), StoredShape(a_log.shape))});
  expect_refused({"layer_0.ssm.A_log", "F32, F16 or BF16", "got F64"});
}

TEST_F(WeightFiles, NamesAFormatThatOnlyTheConfigurationStates) {
  write();
  Json config = Json::parse(stored_.config.to_json());
  config["quantization_config"] = {{"quant_method", "eetq"}, {"bits", 8}};
  write_text(folder_ / "config.json", config.dump());
  load();
  EXPECT_TRUE(warnings_.empty());  // the tensors alone decide the format
  stored_.tensors.erase("layer_0.ssm.in_proj.weight");
  write();
  write_text(folder_ / "config.json", config.dump());
  expect_refused({"layer_0.ssm.in_proj.weight", "got none", "quantized (eetq, 8 bits)"});
  config["quantization_config"] = {{"quant_method", "a\nb"}, {"bits", "many"}};
  write_text(folder_ / "config.json", config.dump());
  expect_refused({"quantized (a\\u{a}b)"});
}

/// Without a shared expert in the configuration, the tensors of a shared expert count as unknown
/// tensors.
TEST_F(WeightFiles, IgnoresASharedExpertThatTheConfigurationLacks) {
  write();
  const auto with_shared = logits();
  stored_.config.moe_shared_expert = false;
  write();
  const auto without = logits();
  EXPECT_EQ(warnings_.size(), 1u);
  EXPECT_FALSE(same_bits(without, with_shared));
  std::erase_if(stored_.tensors, [](const auto& entry) {
    return entry.first.find("shared_expert") != std::string::npos;
  });
  write();
  EXPECT_TRUE(same_bits(logits(), without));
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(WeightFiles, TiedModelsUseTheirHeadOrElseTheEmbedding) {
  // An untied model needs a head.
  const NamedTensor own_head = stored_.tensors.at("lm_head.weight");
  stored_.tensors.erase("lm_head.weight");
  write();
  expect_refused({"lm_head.weight", "[61, 20]", "the embedding is not the head"});
  // A tied model without a head uses the embedding.
  stored_.config.weight_tying = true;
  write();
  const auto tied = logits();
  stored_.tensors["lm_head.weight"] = stored_.tensors.at("embed_tokens.weight");
  write();
  EXPECT_TRUE(same_bits(logits(), tied));
  // A tied model with a head of its own uses this head.
  stored_.tensors["lm_head.weight"] = own_head;
  write();
  const auto own = logits();
  EXPECT_FALSE(same_bits(own, tied));
  stored_.config.weight_tying = false;
  write();
  EXPECT_TRUE(same_bits(logits(), own));
}

TEST_F(WeightFiles, ShardsEqualTheSingleFile) {
  write();
  const auto expected = logits();
  StateSnapshot snapshot;
  {
    Model model = load();
    State state = model.new_state();
    feed_all(model, state, ids_);
    state.save(folder_ / "state");
    snapshot = state.snapshot();
  }
  const TemporaryFolder sharded, unnamed;
  std::map<std::string, NamedTensor> shards[3];
  Json map = Json::object();
  std::size_t i = 0;
  for (const auto& [name, tensor] : stored_.tensors) {
    map[name] = fmt::format("model-{}.safetensors", i % 3);
    shards[i++ % 3][name] = tensor;
  }
  for (const auto* folder : {&sharded, &unnamed}) {
    write_text(*folder / "config.json", stored_.config.to_json());
    for (std::size_t s = 0; s < 3; ++s)
      write_tensors(*folder / fmt::format("model-{}.safetensors", s), shards[s]);
  }
  write_text(sharded / "model.safetensors.index.json",
             Json{{"metadata", Json::object()}, {"weight_map", map}}.dump());
  for (const auto* folder : {&sharded, &unnamed}) {
    Model model = load(folder->path());
    EXPECT_TRUE(same_bits(logits_of(model), expected));
    // The shards hold the same model, so the model accepts a state of the single file.
    State state = model.new_state();
    state.load(folder_ / "state");
    EXPECT_TRUE(state.snapshot() == snapshot);
  }
  // The index may list tensors that do not exist, if the model does not need them.
  map["mtp.fc.weight"] = "model-1.safetensors";
  map["mtp.norm.weight"] = "model-9.safetensors";
  write_text(sharded / "model.safetensors.index.json", Json{{"weight_map", map}}.dump());
  {
    Model model = load(sharded.path());
    EXPECT_TRUE(same_bits(logits_of(model), expected));
    EXPECT_EQ(warnings_.size(), 2U);
  }
  std::filesystem::remove(sharded / "model-1.safetensors");
  expect_error([&] { load(sharded.path()); }, ErrorKind::io,
               {"model-1.safetensors", "the download looks incomplete"});
}

TEST_F(WeightFiles, TheVocabMappingIsRead) {
  write();
  EXPECT_EQ(load().vocab_mapping(), "");
  stored_.metadata["vocab_mapping"] = "{12: 3}";
  write();
  EXPECT_EQ(load().vocab_mapping(), "{12: 3}");
}

TEST_F(WeightFiles, ProgressEndsAtTheTotal) {
  write();
  LoadOptions options;
  std::uint64_t last = 0, total = 0;
  options.on_progress = [&](std::uint64_t done_bytes, std::uint64_t total_bytes) {
    EXPECT_GT(done_bytes, last);
    last = done_bytes;
    total = total_bytes;
  };
  const Model model = Model::load(backend_, model_files(folder_.path()), options, warnings_);
  EXPECT_EQ(last, total);
  EXPECT_GE(model.packed_bytes(), total);
}

TEST_F(WeightFiles, RefusesPathsThatAreNotAModel) {
  expect_error([&] { load(folder_ / "nothing"); }, ErrorKind::io, {"nothing"});
  expect_error([&] { load("/dev/null"); }, ErrorKind::io, {"/dev/null"});
  expect_error([&] { load(folder_ / std::string(300, 'x')); }, ErrorKind::io, {"xxx"});
  expect_error([&] { load(); }, ErrorKind::io, {folder_.path().string()});  // the folder is empty
}

TEST(RandomModel, HasTheRecordedNumbersOnEveryMachine) {
  const StoredModel a = random_stored(small_config(), 1);
  const StoredModel b = random_stored(small_config(), 2);
  const auto& first = a.tensors.at("layer_0.ssm.in_proj.weight").values;
  EXPECT_FALSE(same_bits(first, b.tensors.at("layer_0.ssm.in_proj.weight").values));
  EXPECT_TRUE(same_bits(
      first, random_stored(small_config(), 1).tensors.at("layer_0.ssm.in_proj.weight").values));
  // The expected sum is a recorded number. The generator only counts and mixes integers, so it must
  // give the same numbers on every machine.
  std::uint64_t sum = 0;
  for (const auto& [name, tensor] : a.tensors)
    for (const float value : tensor.values) sum = sum * 31 + std::bit_cast<std::uint32_t>(value);
  EXPECT_EQ(sum, 4608199045505975403u);
}

}  // namespace
}  // namespace bitaxon::test
