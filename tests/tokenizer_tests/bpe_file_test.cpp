#include <gtest/gtest.h>

#include <functional>

#include "bitaxon/error.h"
#include "tokenizer_json.h"

namespace bitaxon {
namespace {

using nlohmann::json;

// Expects that `text` cannot be loaded as a tokenizer, and returns the message of the error.
std::string refusal(const std::string& text, ErrorKind kind) {
  try {
    bpe_from_json(text, "t.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    const std::string message = error.what();
    EXPECT_TRUE(message.starts_with("t.json: ")) << message;
    EXPECT_EQ(message.find_first_of("\r\n"), message.npos) << message;
    EXPECT_LT(message.size(), 400u) << message;
    return message.substr(8);
  }
  ADD_FAILURE() << "accepted: " << text.substr(0, 200);
  return {};
}

TEST(BpeFile, NamesTheByteOfInvalidJson) {
  const std::string early = "not JSON: it ends too early, the download looks incomplete";
  EXPECT_EQ(refusal("", ErrorKind::format), "at byte 1: " + early);
  EXPECT_EQ(refusal("{", ErrorKind::format), "at byte 2: " + early);
  EXPECT_EQ(refusal("{\"a\": tru}", ErrorKind::format), "at byte 10: not JSON");
  EXPECT_EQ(refusal("{\"a\": \"\xFF\"}", ErrorKind::format), "at byte 8: not JSON");
  EXPECT_EQ(refusal("{} {}", ErrorKind::format), "at byte 4: not JSON");
  EXPECT_EQ(refusal("[]", ErrorKind::format), "expected a JSON object");
  EXPECT_EQ(refusal("{}", ErrorKind::format), "model: expected an object, got null");
  EXPECT_EQ(refusal("{\"a\": 1e999}", ErrorKind::format), "a number is out of range");
  const std::string text = TokenizerJson({"a b"}).text();
  for (std::size_t n = 0; n < text.size(); n += 37) refusal(text.substr(0, n), ErrorKind::format);
}

TEST(BpeFile, LimitsDepthAndKeys) {
  EXPECT_EQ(refusal(std::string(100000, '['), ErrorKind::format), "deeper than 32 levels");
  std::string deep = "{\"a\":";
  for (int i = 0; i < 1000; ++i) deep += "{\"a\":";
  EXPECT_EQ(refusal(deep, ErrorKind::format), "deeper than 32 levels");
  EXPECT_EQ(refusal("{\"a\": 1, \"a\": 2}", ErrorKind::format),
            "the key \"a\" appears twice in one object");
  json many = json::object();
  for (int i = 0; i < 2000; ++i) many[std::to_string(i)] = i;
  EXPECT_EQ(refusal(many.dump(), ErrorKind::format), "an object with more than 1024 keys");
}

TEST(BpeFile, RefusesAnInvalidVocabulary) {
  const auto with = [](const std::string& vocabulary) {
    return "{\"model\": {\"vocab\": " + vocabulary + ", \"merges\": []}}";
  };
  const std::string range = "expected an id from 0 to 4194303, got ";
  EXPECT_EQ(refusal(with("{\"a\": -1}"), ErrorKind::format), "model.vocab: \"a\": " + range + "-1");
  EXPECT_EQ(refusal(with("{\"a\": 4194304}"), ErrorKind::format),
            "model.vocab: \"a\": " + range + "4194304");
  EXPECT_EQ(refusal(with("{\"a\": 99999999999999999999}"), ErrorKind::format),
            "model.vocab: \"a\": " + range + "1e+20");
  EXPECT_EQ(refusal(with("{\"a\": 1.0}"), ErrorKind::format),
            "model.vocab: \"a\": " + range + "1.0");
  EXPECT_EQ(refusal(with("{\"a\": \"1\"}"), ErrorKind::format),
            "model.vocab: \"a\": " + range + "\"1\"");
  EXPECT_EQ(refusal(with("{\"a\\n\": null}"), ErrorKind::format),
            "model.vocab: \"a\\x0a\": " + range + "null");
  EXPECT_EQ(refusal(with("{\"a\": {}}"), ErrorKind::format),
            "model.vocab: \"a\": " + range + "a list or an object");
  EXPECT_EQ(refusal(with("{\"a\": 1, \"b\": 1}"), ErrorKind::format),
            "model.vocab: the id 1 appears twice, again for \"b\"");
  EXPECT_EQ(refusal(with("{\"a\": 1, \"a\": 2}"), ErrorKind::format),
            "model.vocab: the token \"a\" appears twice");
  EXPECT_EQ(refusal(with("[1]"), ErrorKind::format), "model.vocab: expected an object");
  EXPECT_EQ(refusal("{\"model\": {\"merges\": []}}", ErrorKind::format),
            "model.vocab: expected an object");
  EXPECT_EQ(refusal("{\"model\": [{\"vocab\": {\"a\": \"b\"}}]}", ErrorKind::format),
            "model: expected an object, got an array");
}

// A change to a valid tokenizer file, and the error that this change must cause.
struct Change {
  std::function<void(json&)> apply;
  ErrorKind kind;
  std::string message;
};

void expect_refusals(const std::vector<Change>& changes) {
  for (const Change& change : changes) {
    TokenizerJson file({"a b"});
    file.add("<t>");
    ASSERT_NO_THROW(file.bpe());
    change.apply(file.document);
    EXPECT_EQ(refusal(file.text(), change.kind), change.message);
  }
}

TEST(BpeFile, RefusesInvalidMerges) {
  const auto merges = [](const json& list) {
    return [list](json& document) { document["model"]["merges"] = list; };
  };
  constexpr auto kFormat = ErrorKind::format;
  const std::string pair = "expected \"a b\" or [\"a\", \"b\"]";
  expect_refusals({
      {merges({"a b", "a zz"}), kFormat,
       "model.merges[1]: the token \"zz\" is not in the vocabulary"},
      {merges({"zz a"}), kFormat, "model.merges[0]: the token \"zz\" is not in the vocabulary"},
      {merges({"b a"}), kFormat, "model.merges[0]: the token \"ba\" is not in the vocabulary"},
      {merges({"ab"}), kFormat, "model.merges[0]: " + pair},
      {merges({"a  b"}), kFormat, "model.merges[0]: " + pair},
      {merges({"a b", 7}), kFormat, "model.merges[1]: " + pair},
      {merges(json::array({json::array({"a"})})), kFormat, "model.merges[0]: " + pair},
      {merges(json::array({json::array({"a", "b", "c"})})), kFormat, "model.merges[0]: " + pair},
      {merges(json::array({json::array({"a", 1})})), kFormat, "model.merges[0]: " + pair},
      {merges(json::array({json::array({"a", json::array({"b"})})})), kFormat,
       "model.merges[0]: " + pair},
      {merges(json::array({json::object({{"a", "b"}})})), kFormat, "model.merges[0]: " + pair},
      {merges(json::object({{"a", "b"}})), kFormat, "model.merges: expected an array"},
      {[](json& d) { d["model"].erase("merges"); }, kFormat, "model.merges: expected an array"},
  });
}

TEST(BpeFile, NamesUnsupportedSettingsThatChangeIds) {
  constexpr auto kUnsupported = ErrorKind::unsupported;
  const auto set = [](const std::string& pointer, const json& value) {
    return [pointer, value](json& document) { document[json::json_pointer(pointer)] = value; };
  };
  const std::string split = "/pre_tokenizer/pretokenizers/0";
  const std::string at_split = "pre_tokenizer.pretokenizers[0]";
  const json bert = {{"type", "BertProcessing"}, {"cls", {"a", 97}}, {"sep", {"b", 98}}};
  expect_refusals({
      {set("/model/type", "WordPiece"), kUnsupported,
       "model.type: expected \"BPE\", got \"WordPiece\""},
      {set("/model/dropout", 0.1), kUnsupported, "model.dropout: expected null, got 0.1"},
      {set("/model/continuing_subword_prefix", "##"), kUnsupported,
       "model.continuing_subword_prefix: expected null or \"\", got \"##\""},
      {set("/model/end_of_word_suffix", "</w>"), kUnsupported,
       "model.end_of_word_suffix: expected null or \"\", got \"</w>\""},
      {set("/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Lowercase"}}}}}),
       kUnsupported,
       "normalizer.normalizers[0]: expected NFC, NFD, NFKC, NFKD, Prepend, Replace, "
       "Strip, ByteLevel or null, got \"Lowercase\""},
      {set("/pre_tokenizer", {{"type", "UnicodeScripts"}}), kUnsupported,
       "pre_tokenizer: expected Split, ByteLevel, Metaspace, Punctuation, Digits, Whitespace, "
       "WhitespaceSplit, CharDelimiterSplit or null, got \"UnicodeScripts\""},
      {set(split + "/behavior", "Shuffled"), kUnsupported,
       at_split + ".behavior: expected \"Removed\", \"Isolated\", \"MergedWithPrevious\", "
                  "\"MergedWithNext\" or \"Contiguous\", got \"Shuffled\""},
      {set(split + "/pattern/Regex", "\\w+"), kUnsupported,
       at_split + ": pattern \"\\w+\": \"\\w\" at byte 0 is not supported"},
      {set("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", 1}}),
       kUnsupported,
       "pre_tokenizer.prepend_scheme: expected \"always\", \"first\" or \"never\", "
       "got 1"},
      {set("/post_processor", {{"type", "Custom"}}), kUnsupported,
       "post_processor: expected TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel "
       "or null, got \"Custom\""},
      {set("/post_processor",
           {{"type", "TemplateProcessing"}, {"single", {{{"Sequence", {{"id", "B"}}}}}}}),
       kUnsupported,
       "post_processor.single[0]: expected SpecialTokens around one Sequence A, got an object"},
      {set("/post_processor", {{"type", "Sequence"}, {"processors", {bert, bert}}}), kUnsupported,
       "post_processor.processors[1]: expected at most one post-processor that adds tokens"},
      {set("/decoder", {{"type", "WordPiece"}}), kUnsupported,
       "decoder: expected ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace or null, got "
       "\"WordPiece\""},
  });
}

TEST(BpeFile, LimitsHowMuchLongerAFileMakesAText) {
  const auto replace = [](const std::string& what, const std::string& by) {
    return json{{"type", "Replace"}, {"pattern", {{"String", what}}}, {"content", by}};
  };
  const auto list = [](const char* key, const json& member, std::size_t n) {
    return json{{"type", "Sequence"}, {key, std::vector<json>(n, member)}};
  };
  const auto set = [](const std::string& key, const json& value) {
    return [key, value](json& document) { document[key] = value; };
  };
  constexpr auto kUnsupported = ErrorKind::unsupported;
  const std::string long_text = "expected steps that make a text at most 1000 times as long in all";
  expect_refusals({
      {set("normalizer", list("normalizers", replace("a", "aa"), 64)), kUnsupported,
       "normalizer.normalizers[9]: " + long_text},
      {set("decoder", list("decoders", replace("a", "aa"), 64)), kUnsupported,
       "decoder.decoders[9]: " + long_text},
      {set("normalizer", {{"type", "Prepend"}, {"prepend", std::string(1000, 'x')}}), kUnsupported,
       "normalizer: " + long_text},
      {set("pre_tokenizer", list("pretokenizers", {{"type", "ByteLevel"}}, 5)), kUnsupported,
       "pre_tokenizer.pretokenizers[4]: " + long_text},
      {set("pre_tokenizer", list("pretokenizers", {{"type", "Digits"}}, 65)), kUnsupported,
       "pre_tokenizer: expected at most 64 steps"},
      {set("decoder", list("decoders", {{"type", "Fuse"}}, 65)), kUnsupported,
       "decoder: expected at most 64 steps"},
  });
}

TEST(BpeFile, AcceptsSettingsWithoutEffect) {
  TokenizerJson file({"a b"});
  file.document["model"].update({{"dropout", 0.0},
                                 {"continuing_subword_prefix", ""},
                                 {"end_of_word_suffix", ""},
                                 {"byte_fallback", false}});
  file.document["truncation"] = {{"max_length", 3}};
  file.document["post_processor"] = {
      {"type", "Sequence"},
      {"processors",
       {{{"type", "ByteLevel"}},
        {{"type", "TemplateProcessing"}, {"single", {{{"Sequence", {{"id", "A"}}}}}}}}}};
  EXPECT_EQ(file.bpe().encode("abab"), (std::vector<std::int32_t>{256, 256}));
  file.document["model"].erase("type");
  EXPECT_NO_THROW(file.bpe());
}

TEST(BpeFile, NamesTheKeyOfAWrongType) {
  constexpr auto kFormat = ErrorKind::format;
  const json start_token = {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}}}};
  const auto set = [](const std::string& pointer, const json& value) {
    return [pointer, value](json& document) { document[json::json_pointer(pointer)] = value; };
  };
  expect_refusals({
      {set("/model", 3), kFormat, "model: expected an object, got 3"},
      {set("/model/ignore_merges", "yes"), kFormat,
       "model.ignore_merges: expected true or false, got \"yes\""},
      {set("/model/unk_token", 3), kFormat, "model.unk_token: expected a string, got 3"},
      {set("/normalizer", "NFC"), kFormat,
       "normalizer: expected an object with a type, got \"NFC\""},
      {set("/pre_tokenizer/pretokenizers", 1), kFormat,
       "pre_tokenizer.pretokenizers: expected an array, got 1"},
      {set("/pre_tokenizer/pretokenizers/0", nullptr), kFormat,
       "pre_tokenizer.pretokenizers[0]: expected an object with a type, got null"},
      {set("/pre_tokenizer/pretokenizers/0/pattern", "x"), kFormat,
       "pre_tokenizer.pretokenizers[0].pattern: expected {\"String\": ...} or {\"Regex\": ...}, "
       "got "
       "\"x\""},
      {set("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "ab"}}), kFormat,
       "pre_tokenizer.replacement: expected one character, got \"ab\""},
      {set("/normalizer", {{"type", "Prepend"}}), kFormat,
       "normalizer.prepend: expected a string, got null"},
      {set("/decoder", {{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}}), kFormat,
       "decoder.start: expected 0 to 4194303, got -1"},
      {set("/post_processor", start_token), kFormat,
       "post_processor.special_tokens.<s>: expected an object, got null"},
      {[&](json& d) {
         d["post_processor"] = start_token;
         d["post_processor"]["single"][0]["SpecialToken"]["id"] = "a\nb";
       },
       kFormat, "post_processor.special_tokens.a\\u{a}b: expected an object, got null"},
      {[&](json& d) {
         d["post_processor"] = start_token;
         d["post_processor"]["special_tokens"]["<s>"]["ids"] = {97, 4000};
       },
       kFormat, "post_processor: the id 4000 has no token"},
      {set("/pre_tokenizer/pretokenizers/0/pattern/Regex", "("), kFormat,
       "pre_tokenizer.pretokenizers[0]: pattern \"(\": missing closing parenthesis"},
      {set("/added_tokens", 1), kFormat, "added_tokens: expected an array, got 1"},
      {set("/added_tokens/0", "x"), kFormat, "added_tokens[0]: expected an object, got \"x\""},
      {set("/added_tokens/0/content", nullptr), kFormat,
       "added_tokens[0].content: expected a string, got null"},
      {set("/added_tokens/0/id", -1), kFormat, "added_tokens[0].id: expected 0 to 4194303, got -1"},
      {set("/added_tokens/0/lstrip", 1), kFormat,
       "added_tokens[0].lstrip: expected true or false, got 1"},
      {set("/added_tokens/0/id", 3), kFormat,
       "added_tokens[0]: the id 3 of \"<t>\" is taken, or differs from the vocabulary"},
      {set("/added_tokens/0/content", "ab"), kFormat,
       "added_tokens[0]: the id 257 of \"ab\" is taken, or differs from the vocabulary"},
      {set("/added_tokens/1", {{"id", 258}, {"content", "<t>"}}), kFormat,
       "added_tokens[1]: the token \"<t>\" appears twice"},
  });
}

}  // namespace
}  // namespace bitaxon
