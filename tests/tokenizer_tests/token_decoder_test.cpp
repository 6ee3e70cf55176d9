// The expected texts come from version 0.23.3 of Hugging Face's tokenizers.
#include "tokenizer/token_decoder.h"

#include <gtest/gtest.h>

#include "platform/utf8.h"
#include "tokenizer/pipeline_file.h"

namespace bitaxon {
namespace {

using Texts = std::vector<std::string>;

TokenDecoder decoder(const std::string& json) {
  return read_decoder(Json::parse(json), Place("t"));
}

TokenDecoder sequence(const std::string& steps) {
  return decoder(R"({"type": "Sequence", "decoders": [)" + steps + "]}");
}

std::string text_of(const TokenDecoder& steps, const Texts& tokens) {
  TokenDecoder::State state;
  std::string text;
  for (const std::string& token : tokens) steps.push(state, token, text);
  steps.finish(state, text);
  return text;
}

constexpr const char* kFuse = R"({"type": "Fuse"})";
const std::string kFffd(kReplacement);

TEST(TokenDecoder, StripsSignsFromTheEndsOfTokens) {
  const TokenDecoder strip = decoder(R"({"type": "Strip", "content": "a", "start": 1, "stop": 2})");
  EXPECT_EQ(text_of(strip, {"aab", "aabaaa", "b"}), "ababab");
  const std::string start = R"({"type": "Strip", "content": " ", "start": 2, "stop": 0})";
  EXPECT_EQ(text_of(decoder(start), {"   a", " ", "", "b "}), " ab ");
  EXPECT_EQ(text_of(sequence(kFuse + (", " + start)), {" ", "", "  a", " b"}), " a b");
  const std::string ends = R"({"type": "Strip", "content": "a", "start": 1, "stop": 1})";
  EXPECT_EQ(text_of(sequence(kFuse + (", " + ends)), {"a", "ba", "a"}), "ba");
}

TEST(TokenDecoder, MetaspaceDropsTheSignsOfTheFirstToken) {
  EXPECT_EQ(text_of(decoder(R"({"type": "Metaspace", "replacement": "_"})"), {"__a_", "_b"}),
            "a b");
  EXPECT_EQ(text_of(decoder(R"({"type": "Metaspace", "replacement": "_",
                                "prepend_scheme": "never"})"),
                    {"__a_", "_b"}),
            "  a  b");
}

TEST(TokenDecoder, ReplacesInEachTokenOrInAllOfThem) {
  const std::string replace = R"({"type": "Replace", "pattern": {"String": "ab"}, "content": "x"})";
  EXPECT_EQ(text_of(decoder(replace), {"a", "b", "abab"}), "abxx");
  EXPECT_EQ(text_of(sequence(kFuse + (", " + replace)), {"a", "b", "a"}), "xa");
}

TEST(TokenDecoder, ARunOfByteTokensIsTextOrNot) {
  const TokenDecoder bytes = decoder(R"({"type": "ByteFallback"})");
  EXPECT_EQ(text_of(bytes, {"<0x61>", "<0xE2>", "b", "<0xE2>", "<0x82>", "<0xac>", "<0x+5>"}),
            kFffd + kFffd + "b\u20ac\x05");
  EXPECT_EQ(text_of(bytes, {"<0xzz>", "<0x5>", "<0x005>"}), "<0xzz><0x5><0x005>");
  // Nothing is certain before the end of the run.
  TokenDecoder::State state;
  std::string text;
  bytes.push(state, "<0x61>", text);
  EXPECT_EQ(text, "");
  bytes.push(state, "b", text);
  EXPECT_EQ(text, "ab");
}

TEST(TokenDecoder, GivesTextAwayAsSoonAsItIsCertain) {
  const TokenDecoder llama = sequence(
      R"({"type": "Replace", "pattern": {"String": "_"}, "content": " "}, {"type": "ByteFallback"},
         {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0})");
  TokenDecoder::State state;
  std::string text;
  llama.push(state, "_To", text);
  EXPECT_EQ(text, "To");
  llama.push(state, "_be", text);
  EXPECT_EQ(text, "To be");
  llama.finish(state, text);
  llama.push(state, "_or", text);  // finish() made the state ready for another text
  EXPECT_EQ(text, "To beor");
}

TEST(TokenDecoder, WithoutADecoderSpacesStandBetweenTokens) {
  EXPECT_EQ(text_of(decoder("null"), {"a", "", "b c"}), "a  b c");
  EXPECT_EQ(text_of(decoder("null"), {}), "");
}

}  // namespace
}  // namespace bitaxon
