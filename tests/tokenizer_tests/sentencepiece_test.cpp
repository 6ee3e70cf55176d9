#include "tokenizer/sentencepiece.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "bitaxon/error.h"
#include "bitaxon/tokenizer.h"
#include "platform/file.h"
#include "platform/utf8.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"

#ifdef BITAXON_WITH_SENTENCEPIECE
#include <sentencepiece_processor.h>
#endif

namespace bitaxon {
namespace {

using test::TemporaryFolder;

const std::string kModel = test::golden_dir() / "sentencepiece" / "tokenizer.model";

#ifdef BITAXON_WITH_SENTENCEPIECE

using Ids = std::vector<std::int32_t>;

// These functions write the fields of a protocol buffer. The tests build synthetic models with
// them.
std::string bytes_field(int number, const std::string& bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  if (number >= 16)
    out = {static_cast<char>((number & 15) << 3 | 2 | 0x80), static_cast<char>(number >> 4)};
  for (std::size_t n = bytes.size(); true; n >>= 7) {
    out += static_cast<char>((n & 127) | (n > 127 ? 128U : 0U));
    if (n <= 127) break;
  }
  return out + bytes;
}
std::string number_field(int number, int value) {
  return {static_cast<char>(number << 3), static_cast<char>(value)};
}
enum PieceType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kByte = 6 };
std::string piece(const std::string& text, PieceType type) {
  return bytes_field(
      1, bytes_field(1, text) + std::string("\x15\0\0\x80\xBF", 5) + number_field(3, type));
}

// A small unigram model that also has a piece for every byte.
std::string small_model(bool dummy_prefix, bool remove_extra) {
  std::string model = piece("<unk>", kUnknown) + piece("<s>", kControl) + piece("</s>", kControl);
  for (int byte = 0; byte < 256; ++byte) {
    const char* digits = "0123456789ABCDEF";
    model += piece(std::string("<0x") + digits[byte / 16] + digits[byte % 16] + ">", kByte);
  }
  for (const char* text : {"\xE2\x96\x81", "\xE2\x96\x81\xE2\x96\x81",
                           "\xE2\x96\x81"
                           "a",
                           "a", "b", "a\xE2\x96\x81"})
    model += piece(text, kNormal);
  model += piece("<user>", kUserDefined);
  // Sets trainer_spec.byte_fallback (field 35).
  model += bytes_field(2, std::string("\x98\x02\x01", 3));
  model += bytes_field(3, number_field(3, dummy_prefix) + number_field(4, remove_extra));
  return model;
}

TEST(SentencePiece, EncodesAsRecorded) {
  const Tokenizer tokenizer = Tokenizer::load(kModel);
  const auto cases =
      nlohmann::json::parse(std::ifstream(test::golden_dir() / "sentencepiece" / "cases.json"));
  for (const auto& c : cases)
    EXPECT_EQ(tokenizer.encode(c["text"].get<std::string>()), c["ids"].get<Ids>()) << c["text"];
}

TEST(SentencePiece, TokenizerConfigNamesAddedTokens) {
  const TemporaryFolder folder;
  std::filesystem::copy(kModel, folder.path());
  const auto load = [&](const std::string& config) {
    folder.write("tokenizer_config.json", config);
    return Tokenizer::load(folder.path() / "tokenizer.model");
  };
  const Tokenizer plain = load("{}");
  const std::string token =
      R"({"added_tokens_decoder": {"5000": {"content": "<new>", "special": true}})";
  const Tokenizer added =
      load(token + R"(, "bos_token": {"content": "<new>"}, "add_bos_token": true})");
  EXPECT_EQ(added.vocab_size(), 5001);
  EXPECT_EQ(added.token_id("<new>"), 5000);
  EXPECT_TRUE(added.is_special(5000));
  EXPECT_EQ(added.encode("<new>"), Ids{5000});
  EXPECT_EQ(added.encode("<new>", {.special_as_text = true}), plain.encode("<new>"));
  EXPECT_EQ(added.encode("", {.add_special = true}), Ids{5000});
  EXPECT_EQ(added.decode(Ids{5000}), "<new>");
  EXPECT_EQ(added.decode(Ids{5000}, true), "");
  EXPECT_EQ(added.decode(Ids{4999}), "");
  // The classes of Llama add the token without being told.
  const std::string bos = R"("bos_token": "<new>")";
  const auto first = [&](const std::string& more) {
    return load(token + more + "}").encode("", {.add_special = true});
  };
  EXPECT_EQ(first(", " + bos), Ids());
  EXPECT_EQ(first(", " + bos + R"(, "tokenizer_class": "LlamaTokenizer")"), Ids{5000});
  EXPECT_EQ(first(", " + bos + R"(, "tokenizer_class": "LlamaTokenizer", "add_bos_token": false)"),
            Ids());
}

TEST(SentencePiece, RefusesABrokenTokenizerConfig) {
  const TemporaryFolder folder;
  std::filesystem::copy(kModel, folder.path());
  for (const auto& [config, message] : std::initializer_list<std::pair<std::string, std::string>>{
           {R"({"added_tokens_decoder": []})",
            "added_tokens_decoder: expected an object, got an array"},
           {R"({"added_tokens_decoder": {"x": {"content": "a"}}})",
            "added_tokens_decoder.x: expected an id from 0 to 4194303"},
           {R"({"added_tokens_decoder": {"9999999": {"content": "a"}}})",
            "added_tokens_decoder.9999999: expected an id from 0 to 4194303"},
           {R"({"added_tokens_decoder": {"7": {"content": 3}}})",
            "added_tokens_decoder.7.content: expected a string, got 3"},
           {R"({"added_tokens_decoder": {"7": {"content": "a"}, "8": {"content": "a"}}})",
            "added_tokens_decoder.8: the token \"a\" appears twice"},
           {R"({"add_bos_token": 1})", "add_bos_token: expected true or false, got 1"},
           {R"({"add_bos_token": true, "bos_token": 1})", "bos_token: expected a string, got 1"},
           {R"({"add_bos_token": true, "bos_token": "no such"})",
            "the bos_token \"no such\" of tokenizer_config.json is not in the vocabulary"}}) {
    folder.write("tokenizer_config.json", config);
    try {
      Tokenizer::load(folder.path() / "tokenizer.model");
      ADD_FAILURE() << config;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::format);
      EXPECT_TRUE(std::string(error.what()).ends_with(": " + message)) << error.what();
    }
  }
}

TEST(SentencePiece, LoadsTheRecordedModel) {
  const Tokenizer tokenizer = Tokenizer::load(kModel);
  EXPECT_EQ(tokenizer.kind(), "sentencepiece");
  const auto end = tokenizer.token_id("</s>");
  ASSERT_TRUE(end);
  EXPECT_EQ(tokenizer.ends_of_sequence(), std::vector<std::int32_t>{*end});
  EXPECT_TRUE(tokenizer.is_special(*end));
  EXPECT_EQ(tokenizer.token_id("no such piece"), std::nullopt);
  EXPECT_FALSE(tokenizer.is_special(-1));
  const std::string text = "But soft, what light 日本語 🙂";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  EXPECT_EQ(tokenizer.decode(Ids{-1, 1 << 30, tokenizer.vocab_size()}), "");
  EXPECT_EQ(tokenizer.encode("a\xFFz"), tokenizer.encode("a\xEF\xBF\xBDz"));
  EXPECT_EQ(tokenizer.encode("a\xE2\x82z"), tokenizer.encode("a\xEF\xBF\xBDz"));
  EXPECT_NO_THROW(tokenizer.encode(std::string_view("a\0b", 3)));
}

// Decodes random ids without special tokens, and compares the text with that of the SentencePiece
// library.
void expect_decodes_as_the_library(const std::string& model) {
  const TemporaryFolder folder;
  const Tokenizer tokenizer = Tokenizer::load(folder.write("tokenizer.model", model));
  sentencepiece::SentencePieceProcessor processor;
  ASSERT_TRUE(processor.LoadFromSerializedProto(model).ok());
  std::mt19937 random(5);
  for (int round = 0; round < 4000; ++round) {
    Ids ids;
    for (unsigned i = 0; i < 1 + random() % 12; ++i) {
      const auto size = static_cast<std::mt19937::result_type>(tokenizer.vocab_size());
      const auto id = random() % 2 == 0 ? random() % size : size - 1 - random() % 7;
      ids.push_back(static_cast<std::int32_t>(random() % 5 == 0 ? random() % 3 : id));
    }
    std::string expected;
    ASSERT_TRUE(processor.Decode(ids, &expected).ok());
    ASSERT_EQ(tokenizer.decode(ids, true), expected) << testing::PrintToString(ids);
  }
}

TEST(SentencePiece, DecodesAsTheLibraryDoes) {
  expect_decodes_as_the_library(read_whole_file(kModel, 1 << 24));
  for (const bool dummy_prefix : {false, true})
    for (const bool remove_extra : {false, true})
      expect_decodes_as_the_library(small_model(dummy_prefix, remove_extra));
}

TEST(SentencePiece, ControlSymbolsAreTextUnlessSkipped) {
  const TemporaryFolder folder;
  const Tokenizer tokenizer =
      Tokenizer::load(folder.write("tokenizer.model", small_model(true, false)));
  const std::int32_t a = *tokenizer.token_id(
      "\xE2\x96\x81"
      "a");
  EXPECT_EQ(tokenizer.decode(Ids{1, a, a, 2}), "<s>a a</s>");
  EXPECT_EQ(tokenizer.decode(Ids{1, a, a, 2}, true), "a a");
  // In a text to encode, a control symbol is plain text.
  EXPECT_EQ(tokenizer.encode("</s>").size(), 5u);
  EXPECT_EQ(tokenizer.encode("b<user>").back(), tokenizer.token_id("<user>"));
  EXPECT_FALSE(tokenizer.is_special(*tokenizer.token_id("<user>")));
}

// Expects that `model` is refused with a message of one line, and that the library prints nothing.
// Returns the message.
std::string refusal(const std::string& model, ErrorKind kind = ErrorKind::format) {
  testing::internal::CaptureStderr();
  std::string message;
  try {
    SentencePiece::from_bytes(model, "t.model");
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    message = error.what();
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_TRUE(message.starts_with("t.model: SentencePiece model: ")) << message;
  EXPECT_EQ(message.find_first_of("\r\n"), message.npos) << message;
  return message;
}

TEST(SentencePiece, BrokenModelsGiveAOneLineMessage) {
  refusal("");
  refusal("\n");
  refusal("not a model");
  refusal(std::string(1000, '\xFF'));
  refusal(std::string(1000, '\0'));
  refusal(piece("a", kNormal));                            // there is no unknown piece
  refusal(small_model(true, true) + piece("a", kNormal));  // two pieces are "a"
  refusal(small_model(true, true) + piece("", kNormal));
  refusal(small_model(true, true) + piece(std::string("x\0", 2), kNormal));
  refusal(small_model(true, true) + piece(std::string(100000, 'x'), kNormal));
  refusal(small_model(true, true) + piece("<0x00>", kByte));
  refusal(small_model(true, true) + bytes_field(3, ""));  // there is a second normalizer
  refusal(small_model(true, true) + bytes_field(5, bytes_field(2, "map")), ErrorKind::unsupported);
  const std::string self_test = bytes_field(1, bytes_field(1, "a") + bytes_field(2, "nonsense"));
  testing::internal::CaptureStderr();
  EXPECT_NO_THROW(
      SentencePiece::from_bytes(small_model(true, true) + bytes_field(4, self_test), "t"));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(SentencePiece, BrokenCharacterMapsAreRefused) {
  const auto with_map = [](const std::string& map) {
    return piece("<unk>", kUnknown) + piece("a", kNormal) + bytes_field(3, bytes_field(2, map));
  };
  refusal(with_map("x"));
  refusal(with_map(std::string("\x04\0\0\0", 4)));
  // Its children lie outside of the trie.
  refusal(with_map(std::string("\x04\0\0\0\0\0\0\0\0", 9)));
  refusal(with_map(std::string("\xFF\xFF\xFF\xFF____\0", 9)));  // its size is larger than the text
  // The only step in this trie leads back to where it began.
  std::string trie(1024, '\0');
  trie[4 * 'a'] = 'a';
  trie[4 * 'a' + 1] = static_cast<char>(('a' << 2) & 0xFF);
  trie[4 * 'a' + 1 + 1] = static_cast<char>(('a' << 2) >> 8);
  refusal(with_map(std::string("\x00\x04\0\0", 4) + trie + std::string(1, '\0')));
}

TEST(SentencePiece, TruncatedAndChangedModelsDoNotCrash) {
  const std::string model = read_whole_file(kModel, 1 << 24);
  testing::internal::CaptureStderr();
  const auto attempt = [](const std::string& bytes) {
    try {
      const SentencePiece pieces = SentencePiece::from_bytes(bytes, "t.model");
      std::string text, held;
      bool at_start = true;
      for (const std::int32_t id : pieces.encode("naïve café ½ ﬁ 日本語 🙂 the"))
        pieces.decode_next(id, false, at_start, held, text);
      EXPECT_EQ(valid_prefix(text), text.size());
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  };
  for (std::size_t n = 0; n < model.size(); n += 4999) attempt(model.substr(0, n));
  std::mt19937 random(11);
  for (int round = 0; round < 150; ++round) {
    std::string changed = model;
    for (int i = 0; i < 3; ++i)
      changed[random() % model.size()] = static_cast<char>(random() % 256);
    attempt(changed);
  }
  for (int round = 0; round < 300; ++round) {
    std::string changed = small_model(true, true);
    changed[random() % changed.size()] = static_cast<char>(random() % 256);
    attempt(changed);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

#else

TEST(SentencePiece, ABuildWithoutSentencePieceRefusesAModel) {
  try {
    Tokenizer::load(kModel);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
  }
}

#endif

}  // namespace
}  // namespace bitaxon
