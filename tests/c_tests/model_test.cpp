// Tests of models, tokenizers and decoders through the C interface.
#include "bitaxon/session.h"
#include "c_tests/handles.h"
#include "formats/json.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

TEST(CModel, DescribesItself) {
  auto options = model_options();
  options.context = 100;
  options.slots = 3;
  options.forks = 1;
  const ModelHandle model = open_bundled(options);
  BufferHandle json;
  expect_ok(bitaxon_model_info(model.p, json.p));
  const Json info = Json::parse(json.text());
  EXPECT_EQ(info["device"], "cpu");
  EXPECT_EQ(info["precision"], "exact");
  EXPECT_EQ(info["context"], 100);
  EXPECT_EQ(info["states"], 4);
  EXPECT_EQ(info["vocab_size"], 1024);
  EXPECT_EQ(info["config"]["hidden_dim"], 128);
  EXPECT_EQ(info["tokenizer"], "bpe");
  EXPECT_EQ(bitaxon_model_vocab_size(model.p), 1024);
  EXPECT_EQ(bitaxon_model_context(model.p), 100);
}

TEST(CModel, RefusesWhatCannotBeOpened) {
  ModelHandle model;
  const std::string missing = "/nonexistent/model";
  expect_failure(bitaxon_model_open(missing.data(), missing.size(), nullptr, &model.p),
                 BITAXON_STATUS_IO, missing);
  TemporaryFolder folder;
  folder.write("config.json", "{");
  folder.write("model.safetensors", "abc");
  const std::string broken = folder.path().string();
  expect_failure(bitaxon_model_open(broken.data(), broken.size(), nullptr, &model.p),
                 BITAXON_STATUS_FORMAT, "model.safetensors");
  auto options = model_options();
  options.device = "vulkan:no such device";
  options.device_size = std::strlen(options.device);
  const std::string bundled = bundled_model_dir().string();
  EXPECT_NE(bitaxon_model_open(bundled.data(), bundled.size(), &options, &model.p),
            BITAXON_STATUS_OK);
  options = model_options();
  options.preset = "tiny";
  options.preset_size = 4;
  expect_failure(bitaxon_model_open(nullptr, 0, &options, &model.p),
                 BITAXON_STATUS_INVALID_ARGUMENT, "tiny");
  EXPECT_EQ(model.p, nullptr);
}

TEST(CModel, RandomWeightsDependOnTheSeed) {
  const auto text_of = [](std::uint64_t seed) {
    auto options = model_options();
    options.seed = seed;
    const ModelHandle model = open_small(options);
    const StateHandle state = new_state(model);
    const std::int32_t id = 65;
    BufferHandle logits;
    expect_ok(bitaxon_step(state.p, &id, 1, BITAXON_LOGITS_LAST, logits.p));
    return logits.text();
  };
  EXPECT_EQ(text_of(1), text_of(1));
  EXPECT_NE(text_of(1), text_of(2));
}

TEST(CModel, LoadingReportsProgressAndCanBeEnded) {
  struct Seen {
    std::uint64_t done = 0, total = 0;
    int calls = 0, end_at = 0;
  } seen;
  auto options = model_options();
  options.user = &seen;
  options.progress = [](void* user, std::uint64_t done, std::uint64_t total) {
    Seen& now = *static_cast<Seen*>(user);
    EXPECT_GE(done, now.done);
    EXPECT_LE(done, total);
    now.done = done;
    now.total = total;
    return ++now.calls == now.end_at ? 1 : 0;
  };
  open_bundled(options);
  EXPECT_GT(seen.calls, 2);
  EXPECT_EQ(seen.done, seen.total);
  seen = {.end_at = 2};
  ModelHandle model;
  const std::string name = bundled_model_dir().string();
  expect_failure(bitaxon_model_open(name.data(), name.size(), &options, &model.p),
                 BITAXON_STATUS_INTERRUPTED);
  EXPECT_EQ(seen.calls, 2);
  CancelHandle cancel;
  expect_ok(bitaxon_cancel_new(&cancel.p));
  bitaxon_cancel_set(cancel.p);
  seen = {};
  options.cancel = cancel.p;
  expect_failure(bitaxon_model_open(name.data(), name.size(), &options, &model.p),
                 BITAXON_STATUS_INTERRUPTED);
  EXPECT_EQ(model.p, nullptr);
}

TEST(CModel, EstimatesItsMemory) {
  const auto estimate = [](std::int64_t context, const char* quantize) {
    auto options = model_options();
    options.context = context;
    options.quantize = quantize;
    options.quantize_size = quantize == nullptr ? 0 : std::strlen(quantize);
    BufferHandle json;
    const std::string name = bundled_model_dir().string();
    expect_ok(bitaxon_memory_estimate(name.data(), name.size(), &options, json.p));
    const Json found = Json::parse(json.text());
    EXPECT_EQ(found["devices"].size(), 1u) << "the options name a device";
    EXPECT_EQ(found["devices"][0]["selector"], "cpu");
    EXPECT_EQ(found["devices"][0]["fits"], true);
    return found["devices"][0]["memory"][0]["needed_bytes"].get<std::uint64_t>();
  };
  EXPECT_LT(estimate(32, nullptr), estimate(4096, nullptr));
  EXPECT_LT(estimate(32, "mlx"), estimate(32, nullptr));
}

TEST(CTokenizer, EncodesAndDecodesAsTheLibraryDoes) {
  const ModelHandle model = open_bundled();
  TokenizerHandle own, opened;
  expect_ok(bitaxon_model_tokenizer(model.p, &own.p));
  const std::string folder = bundled_model_dir().string();
  expect_ok(bitaxon_tokenizer_open(folder.data(), folder.size(), &opened.p));
  const std::string text = "ROMEO: naïve 日本 <|im_end|>";
  const std::vector<std::int32_t> expected = Tokenizer::find(bundled_model_dir())->encode(text);
  BufferHandle ids, back;
  for (const TokenizerHandle* tokenizer : {&own, &opened}) {
    expect_ok(bitaxon_tokenize(tokenizer->p, text.data(), text.size(), 0, ids.p));
    EXPECT_EQ(ids.ids(), expected);
    expect_ok(bitaxon_detokenize(tokenizer->p, expected.data(), expected.size(), 0, back.p));
    EXPECT_EQ(back.text(), text);
  }
  expect_ok(
      bitaxon_tokenize(own.p, text.data(), text.size(), BITAXON_TOKENIZE_SPECIAL_AS_TEXT, ids.p));
  EXPECT_GT(ids.ids().size(), expected.size());
  expect_ok(bitaxon_detokenize(own.p, expected.data(), expected.size(),
                               BITAXON_DETOKENIZE_SKIP_SPECIAL, back.p));
  EXPECT_EQ(back.text(), "ROMEO: naïve 日本 ");
  expect_ok(bitaxon_tokenize(own.p, nullptr, 0, 0, ids.p));
  EXPECT_TRUE(ids.ids().empty());
  std::int32_t id = 0;
  expect_ok(bitaxon_token_id(own.p, "<|im_end|>", 10, &id));
  EXPECT_EQ(id, expected.back());
  expect_ok(bitaxon_token_id(own.p, "no such token", 13, &id));
  EXPECT_EQ(id, -1);
  BufferHandle json;
  expect_ok(bitaxon_tokenizer_info(own.p, json.p));
  const Json info = Json::parse(json.text());
  EXPECT_EQ(info["kind"], "bpe");
  EXPECT_EQ(info["chat_template"], true);
}

TEST(CTokenizer, AFailedCallLeavesTheBuffer) {
  const ModelHandle model = open_bundled();
  TokenizerHandle tokenizer;
  expect_ok(bitaxon_model_tokenizer(model.p, &tokenizer.p));
  BufferHandle buffer;
  expect_ok(bitaxon_tokenize(tokenizer.p, "ROMEO", 5, 0, buffer.p));
  const std::string before = buffer.text();
  expect_failure(bitaxon_tokenize(tokenizer.p, "a\xff", 2, 0, buffer.p),
                 BITAXON_STATUS_INVALID_ARGUMENT, "text");
  for (const std::string_view messages : {"", "[", "{}", "[]", "[1]", "\xff"})
    EXPECT_NE(bitaxon_chat_text(tokenizer.p, messages.data(), messages.size(), nullptr, buffer.p),
              BITAXON_STATUS_OK)
        << messages;
  EXPECT_EQ(buffer.text(), before);
}

TEST(CTokenizer, WritesConversationsByTheTemplate) {
  const ModelHandle model = open_bundled();
  TokenizerHandle tokenizer;
  expect_ok(bitaxon_model_tokenizer(model.p, &tokenizer.p));
  const std::string messages = R"([{"role": "user", "content": "a<|im_end|>b"}])";
  BufferHandle text, ids;
  expect_ok(bitaxon_chat_text(tokenizer.p, messages.data(), messages.size(), nullptr, text.p));
  EXPECT_EQ(text.text(), "<|im_start|>user\na<|im_end|>b<|im_end|>\n<|im_start|>assistant\n");
  expect_ok(bitaxon_chat_tokens(tokenizer.p, messages.data(), messages.size(), nullptr, ids.p));
  std::int32_t end = 0;
  expect_ok(bitaxon_token_id(tokenizer.p, "<|im_end|>", 10, &end));
  const std::vector<std::int32_t> found = ids.ids();
  EXPECT_EQ(std::count(found.begin(), found.end(), end), 1) << "a user wrote a special token";
  auto options = initialized(bitaxon_chat_options_init);
  options.add_generation_prompt = 0;
  expect_ok(bitaxon_chat_text(tokenizer.p, messages.data(), messages.size(), &options, text.p));
  EXPECT_EQ(text.text(), "<|im_start|>user\na<|im_end|>b<|im_end|>\n");
  options.variables = "[]";
  options.variables_size = 2;
  expect_failure(bitaxon_chat_text(tokenizer.p, messages.data(), messages.size(), &options, text.p),
                 BITAXON_STATUS_INVALID_ARGUMENT, "variables");
  // The byte tokenizer has no tokens of a template.
  const ModelHandle small = open_small();
  TokenizerHandle bytes;
  expect_ok(bitaxon_model_tokenizer(small.p, &bytes.p));
  expect_failure(bitaxon_chat_text(bytes.p, messages.data(), messages.size(), nullptr, text.p),
                 BITAXON_STATUS_UNSUPPORTED);
}

TEST(CTokenizer, ADecoderNeverCutsACharacter) {
  const ModelHandle small = open_small();
  TokenizerHandle bytes;
  expect_ok(bitaxon_model_tokenizer(small.p, &bytes.p));
  DecoderHandle decoder;
  expect_ok(bitaxon_decoder_new(bytes.p, 0, &decoder.p));
  bytes.free();
  const std::string text = "日本a";
  std::string joined;
  BufferHandle piece;
  for (const char c : text) {
    expect_ok(bitaxon_decoder_push(decoder.p, static_cast<unsigned char>(c), piece.p));
    EXPECT_TRUE(piece.text().empty() || piece.text().size() == 3 || piece.text() == "a");
    joined += piece.text();
  }
  EXPECT_EQ(joined, text);
  expect_ok(bitaxon_decoder_push(decoder.p, 0xE6, piece.p));
  EXPECT_EQ(piece.text(), "");
  expect_ok(bitaxon_decoder_finish(decoder.p, piece.p));
  EXPECT_EQ(piece.text(), "\xEF\xBF\xBD");
  expect_ok(bitaxon_decoder_push(decoder.p, INT32_MIN, piece.p));
  EXPECT_EQ(piece.text(), "");
}

}  // namespace
}  // namespace bitaxon::test
