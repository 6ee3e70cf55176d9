// Registers a test family of models. Its models have two blocks, no bridges, and other tensor names
// and keys. The code that all families share must be able to load such a model, generate text with
// it, save its state and inspect it.
#include "model/families/family.h"

#include <gtest/gtest.h>

#include "bitaxon/devices.h"
#include "bitaxon/generate.h"
#include "formats/json.h"
#include "model/inspection.h"
#include "support/borrowed_backend.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"
#include "support/wrapped_backend.h"

namespace bitaxon::test {
namespace {

constexpr const char* kConfig =
    R"({"model_type": "two-blocks", "width": 24, "words": 50, "longest": 40})";

void name(ModelSpec& spec, WeightId id, std::int64_t block, const std::string& tensor) {
  spec.names[{id, block}] = {"model." + tensor, tensor};
}

/// Describes a model of two blocks: full attention with experts, then a selective scan without a
/// feed-forward part.
ModelSpec describe_two_blocks(const Json& config, std::string_view, std::vector<std::string>&) {
  ModelSpec spec;
  spec.family = "two_blocks";
  spec.d_model = spec.d_embedding = config.at("width").get<std::int64_t>();
  spec.vocab_size = config.at("words").get<std::int64_t>();
  spec.max_seq_len = config.at("longest").get<std::int64_t>();
  spec.norm_eps = 1e-5;
  spec.has_final_norm = true;
  spec.has_tied_head = true;
  spec.config = config.dump();
  spec.blocks = {
      {.kind = "wide",
       .mixer = AttentionSpec{.n_heads = 3, .n_kv_heads = 3, .head_dim = spec.d_model / 3},
       .feed_forward = ExpertsSpec{.n_experts = 3, .top_k = 1, .d_hidden = 8}},
      {.kind = "deep", .mixer = SelectiveScanSpec{.d_inner = 32, .d_state = 2, .d_conv = 3}}};
  name(spec, WeightId::embedding, -1, "words");
  name(spec, WeightId::final_norm, -1, "last.norm");
  name(spec, WeightId::head, -1, "out");
  const std::pair<WeightId, const char*> wide[] = {
      {WeightId::mixer_norm, "wide.norm"},   {WeightId::query, "wide.query"},
      {WeightId::key, "wide.key"},           {WeightId::value, "wide.value"},
      {WeightId::attention_out, "wide.out"}, {WeightId::feed_forward_norm, "wide.second_norm"},
      {WeightId::router, "wide.router"},     {WeightId::experts_gate, "wide.gates"},
      {WeightId::experts_up, "wide.ups"},    {WeightId::experts_down, "wide.downs"}};
  for (const auto& [id, tensor] : wide) name(spec, id, 0, tensor);
  const std::pair<WeightId, const char*> deep[] = {
      {WeightId::mixer_norm, "deep.norm"}, {WeightId::scan_in, "deep.in"},
      {WeightId::conv_taps, "deep.taps"},  {WeightId::conv_bias, "deep.taps_bias"},
      {WeightId::scan_params, "deep.bcr"}, {WeightId::dt_weight, "deep.dt"},
      {WeightId::dt_bias, "deep.dt_bias"}, {WeightId::a_log, "deep.a_log"},
      {WeightId::skip, "deep.skip"},       {WeightId::scan_out, "deep.out"}};
  for (const auto& [id, tensor] : deep) name(spec, id, 1, tensor);
  return spec;
}

/// A folder with a model of the test family. Each tensor has the second of its possible names.
class TwoBlocks : public testing::Test {
 protected:
  TwoBlocks() {
    register_family({"two_blocks", &describe_two_blocks});
    std::vector<std::string> warnings;
    const ModelSpec spec = describe_model(kConfig, "config.json", warnings);
    WrappedBackend backend(open_device("reference").backend);
    Model::random(borrowed(backend), spec, 3, {});
    std::map<std::string, NamedTensor> tensors;
    for (const WeightSlot& slot : weight_slots(spec))
      if (const auto weight = backend.captured().find(slot.name());
          weight != backend.captured().end())
        tensors[slot.names.back()] = {slot.shape, weight->second.values};
    write_text(folder_ / "config.json", kConfig);
    write_tensors(folder_ / "model.safetensors", tensors);
  }

  std::vector<std::int32_t> generate_from(OpenModel& open, State& state,
                                          std::span<const std::int32_t> prompt) {
    GenerateOptions options;
    options.sampler.temperature = 0;
    options.max_tokens = 6;
    return generate(open.model, state, nullptr, prompt, options).token_ids;
  }

  TemporaryFolder folder_;
};

TEST_F(TwoBlocks, LoadsAndGeneratesTheSameOnEveryDevice) {
  const std::vector<std::int32_t> prompt = {1, 2, 3};
  std::vector<std::int32_t> expected;
  for (const char* device : {"reference", "cpu"}) {
    OpenModel open = open_model(device, 2, folder_.path());
    EXPECT_EQ(open.model.spec().family, "two_blocks");
    State state = open.model.new_state();
    const auto ids = generate_from(open, state, prompt);
    EXPECT_EQ(ids.size(), 6U);
    if (expected.empty()) expected = ids;
    EXPECT_EQ(ids, expected) << device;
  }
}

TEST_F(TwoBlocks, ContinuesFromASavedState) {
  const std::vector<std::int32_t> prompt = {4, 5, 6, 7};
  OpenModel open = open_model("cpu", 1, folder_.path());
  State state = open.model.new_state();
  open.model.feed(state, std::span(prompt).first(3), StepOutput::none);
  state.save(folder_ / "state");
  const auto expected = generate_from(open, state, std::span(prompt).last(1));
  state.load(folder_ / "state");
  EXPECT_EQ(state.position(), 3);
  EXPECT_EQ(generate_from(open, state, std::span(prompt).last(1)), expected);
}

TEST_F(TwoBlocks, TextsBeginAndEndWithTheTokensOfTheDescription) {
  std::vector<std::string> warnings;
  ModelSpec spec = describe_model(kConfig, "config.json", warnings);
  const auto backend = open_device("cpu", {.n_threads = 1}).backend;
  const Vocabulary vocabulary(Tokenizer::bytes(), "{1: 9}", spec.vocab_size);
  const auto generated = [&](State& state, Model& model, std::vector<std::int32_t> prompt) {
    GenerateOptions options;
    options.sampler.temperature = 0;
    options.max_tokens = 6;
    return generate(model, state, &vocabulary, prompt, options);
  };
  Model plain = Model::random(backend, spec, 3, {});
  State state = plain.new_state();
  const auto expected = generated(state, plain, {7, 1, 2}).token_ids;
  ASSERT_EQ(expected.size(), 6U);

  spec.beginning = 7;
  Model begun = Model::random(backend, spec, 3, {});
  for (const std::vector<std::int32_t>& prompt :
       {std::vector<std::int32_t>{1, 2}, std::vector<std::int32_t>{7, 1, 2}}) {
    State from_start = begun.new_state();
    const GenerateResult result = generated(from_start, begun, prompt);
    EXPECT_EQ(result.token_ids, expected);
    EXPECT_EQ(result.prompt_tokens, 3);
    // A prompt in the middle of a text gets no beginning token.
    EXPECT_EQ(generated(from_start, begun, {4}).prompt_tokens, 1);
  }

  spec.ends = {expected[0]};
  Model ended = Model::random(backend, spec, 3, {});
  State at_end = ended.new_state();
  const GenerateResult result = generated(at_end, ended, {1, 2});
  EXPECT_EQ(result.stop_token, expected[0]);
  EXPECT_EQ(result.finish_reason, FinishReason::stop);
}

TEST_F(TwoBlocks, InspectionCountsItsParameters) {
  const Inspection model = inspect_files(model_files(folder_.path()));
  EXPECT_TRUE(model.warnings.empty());
  for (const char* part : {"embedding", "attention", "experts", "router", "ssm", "norms"})
    EXPECT_GT(model.parts.at(part).elements, 0) << part;
  // Each token reads one of the three experts, and the whole embedding as the head. It also reads
  // one row of the embedding (24 elements).
  EXPECT_EQ(model.n_read_per_token,
            model.n_parameters - model.parts.at("experts").elements / 3 * 2 + 24);
  EXPECT_GT(model.state_exact_bytes, model.state_fast_bytes);
}

TEST_F(TwoBlocks, TheErrorForAnUnknownFamilyListsTheKnownFamilies) {
  std::vector<std::string> warnings;
  for (const char* type : {"llama", "bit_axon2"})
    expect_error(
        [&] {
          describe_model(std::string(R"({"model_type": ")") + type + "\"}", "a/config.json",
                         warnings);
        },
        ErrorKind::unsupported,
        {"a/config.json: model_type: expected one of bit_axon, ", "two_blocks", type});
  expect_error([&] { describe_model(R"({"model_type": 3})", "config.json", warnings); },
               ErrorKind::format, {"model_type", "got 3"});
}

TEST_F(TwoBlocks, AModelThatOpsCannotComputeIsRefusedBeforeLoading) {
  const auto backend = open_device("cpu").backend;
  std::vector<std::string> warnings;
  ModelSpec spec = describe_model(kConfig, "config.json", warnings);
  std::get<AttentionSpec>(spec.blocks[0].mixer).rotary = RotarySpec{.n_dims = 4};
  expect_error([&] { Model::random(backend, spec, 1, {}); }, ErrorKind::unsupported,
               {"block 0", "two_blocks", "a part of a head"});
}

}  // namespace
}  // namespace bitaxon::test
