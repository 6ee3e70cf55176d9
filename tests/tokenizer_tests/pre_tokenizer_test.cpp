// The expected pieces come from version 0.23.3 of Hugging Face's tokenizers.
#include "tokenizer/pre_tokenizer.h"

#include <gtest/gtest.h>

#include "bitaxon/error.h"
#include "tokenizer/pipeline_file.h"

namespace bitaxon {
namespace {

using Pieces = std::vector<std::string>;

// The pieces that a pre-tokenizer, given as JSON, makes of a text.
Pieces pieces(const std::string& json, const std::string& text, bool at_start = true) {
  Growth growth;
  const PreTokenizer steps = read_pre_tokenizer(Json::parse(json), Place("t"), growth);
  Pieces out;
  steps.split(text, at_start, [&](std::string_view piece) { out.emplace_back(piece); });
  return out;
}

Pieces split(const std::string& behavior, const std::string& text, const char* invert = "false") {
  return pieces(R"({"type": "Split", "pattern": {"String": "-"}, "behavior": ")" + behavior +
                    R"(", "invert": )" + invert + "}",
                text);
}

TEST(PreTokenizer, KeepsJoinsOrRemovesMatches) {
  const std::string text = "the-final--countdown", ends = "--a-b-";
  EXPECT_EQ(split("Removed", text), (Pieces{"the", "final", "countdown"}));
  EXPECT_EQ(split("Removed", text, "true"), (Pieces{"-", "-", "-"}));
  EXPECT_EQ(split("Isolated", text), (Pieces{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(split("MergedWithPrevious", text), (Pieces{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(split("MergedWithPrevious", ends), (Pieces{"-", "-", "a-", "b-"}));
  EXPECT_EQ(split("MergedWithPrevious", text, "true"),
            (Pieces{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(split("MergedWithNext", text), (Pieces{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(split("MergedWithNext", ends), (Pieces{"-", "-a", "-b", "-"}));
  EXPECT_EQ(split("Contiguous", text), (Pieces{"the", "-", "final", "--", "countdown"}));
  EXPECT_EQ(split("Contiguous", ends), (Pieces{"--", "a", "-", "b", "-"}));
}

TEST(PreTokenizer, KnowsClassesOfCharacters) {
  EXPECT_EQ(pieces(R"({"type": "Whitespace"})", "a_1\u00e9!? b\u200d"),
            (Pieces{"a_1\u00e9", "!?", "b\u200d"}));
  EXPECT_EQ(pieces(R"({"type": "WhitespaceSplit"})", " a\u3000 b!"), (Pieces{"a", "b!"}));
  // U+2E52 became punctuation in Unicode 13, too late. U+166D was punctuation until Unicode 12.
  EXPECT_EQ(pieces(R"({"type": "Punctuation", "behavior": "Contiguous"})", "a!?\u2e52 b,c\u166d$"),
            (Pieces{"a", "!?", "\u2e52 b", ",", "c", "\u166d$"}));
  EXPECT_EQ(pieces(R"({"type": "Digits"})", "a12\u00bd \u0663b"),
            (Pieces{"a", "12\u00bd", " ", "\u0663", "b"}));
  EXPECT_EQ(pieces(R"({"type": "Digits", "individual_digits": true})", "a12"),
            (Pieces{"a", "1", "2"}));
  EXPECT_EQ(pieces(R"({"type": "CharDelimiterSplit", "delimiter": "."})", "a.b.."),
            (Pieces{"a", "b"}));
}

TEST(PreTokenizer, MetaspaceMayPrependASign) {
  const auto metaspace = [](const char* scheme, const char* splits) {
    return std::string(R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": ")") +
           scheme + R"(", "split": )" + splits + "}";
  };
  EXPECT_EQ(pieces(metaspace("first", "true"), "a  b"), (Pieces{"_a", "_", "_b"}));
  EXPECT_EQ(pieces(metaspace("first", "false"), "a  b"), (Pieces{"_a__b"}));
  EXPECT_EQ(pieces(metaspace("first", "false"), " a"), (Pieces{"_a"}));
  EXPECT_EQ(pieces(metaspace("first", "false"), "a", false), (Pieces{"a"}));
  EXPECT_EQ(pieces(metaspace("always", "false"), "a", false), (Pieces{"_a"}));
  EXPECT_EQ(pieces(metaspace("never", "false"), "a"), (Pieces{"a"}));
  const auto after_words = [&](const std::string& text) {
    return pieces(R"({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, )" +
                      metaspace("first", "false") + "]}",
                  text);
  };
  EXPECT_EQ(after_words("a b"), (Pieces{"_a", "b"}));
  EXPECT_EQ(after_words(" a b"), (Pieces{"a", "b"}));  // the text begins with the lost space
}

TEST(PreTokenizer, LaterStepsSeeSpelledBytes) {
  const std::string falcon = R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel",
      "add_prefix_space": false}, {"type": "Digits", "individual_digits": false}]})";
  // The letter D0 BC of Cyrillic is spelled with a fraction.
  EXPECT_EQ(pieces(falcon, "\u043c\u0430"), (Pieces{"\u00d0", "\u00bc", "\u00d0\u00b0"}));
  EXPECT_EQ(pieces(falcon, "\u0663"), (Pieces{"\u00d9\u00a3"}));
}

// Characters newer than Unicode 14, whatever version the system's library for patterns has.
TEST(PreTokenizer, PatternsHaveTheCategoriesOfUnicode16) {
  const auto letters = [](const std::string& text) {
    return pieces(R"({"type": "Split", "pattern": {"Regex": "\\p{L}+"}, "behavior": "Removed"})",
                  text);
  };
  EXPECT_EQ(letters("1\U00010d50\u1c89"), Pieces{"1"});      // since Unicode 16
  EXPECT_EQ(letters("\u088f1"), Pieces{"\u088f1"});          // since Unicode 17
  EXPECT_EQ(letters("\U000323b0"), Pieces{"\U000323b0"});    // since Unicode 17
  EXPECT_EQ(letters("a\U00011f02b"), Pieces{});              // since Unicode 15
  EXPECT_EQ(letters("a\U00010d40b"), Pieces{"\U00010d40"});  // a digit since Unicode 16
}

}  // namespace
}  // namespace bitaxon
