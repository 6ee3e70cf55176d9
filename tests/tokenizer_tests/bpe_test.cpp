#include "tokenizer/bpe.h"

#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "bitaxon/error.h"
#include "bitaxon/tokenizer.h"
#include "support/source_tree.h"
#include "tokenizer_json.h"

namespace bitaxon {
namespace {

using Ids = std::vector<std::int32_t>;

nlohmann::json golden(const std::string& name) {
  return nlohmann::json::parse(std::ifstream(test::golden_dir() / "tokenizer" / name));
}

Tokenizer tiny() { return Tokenizer::load(test::bundled_model_dir() / "tokenizer.json"); }

// The ids of `text` in a vocabulary without merges, in which every byte is a token.
Ids bytes_as_ids(std::string_view text) {
  Ids ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

TEST(Bpe, EncodesAndDecodesAsRecorded) {
  const Tokenizer tokenizer = tiny();
  const auto cases = golden("cases.json");
  ASSERT_GT(cases.size(), 10u);
  for (const auto& c : cases) {
    const auto text = c["text"].get<std::string>();
    const auto ids = c["ids"].get<Ids>();
    EXPECT_EQ(tokenizer.encode(text), ids) << text;
    EXPECT_EQ(tokenizer.decode(ids), c["decoded"].get<std::string>()) << text;
    EXPECT_EQ(tokenizer.decode(ids, true), c["decoded_skip_special"].get<std::string>()) << text;
  }
}

TEST(Bpe, DecodesBrokenBytesAsRecorded) {
  const Tokenizer tokenizer = tiny();
  for (const auto& c : golden("decode_cases.json"))
    EXPECT_EQ(tokenizer.decode(c["ids"].get<Ids>()), c["decoded"].get<std::string>()) << c;
}

TEST(Bpe, LoadsTheBundledTokenizer) {
  const Tokenizer tokenizer = tiny();
  EXPECT_EQ(tokenizer.kind(), "bpe");
  EXPECT_EQ(tokenizer.vocab_size(), 1024);
  EXPECT_EQ(tokenizer.ends_of_sequence(), Ids{1023});
  EXPECT_EQ(tokenizer.token_id("<|im_start|>"), 1022);
  EXPECT_EQ(tokenizer.token_id("\xC4\xA0the"), 268);
  EXPECT_EQ(tokenizer.token_id(" the"), std::nullopt);
  EXPECT_TRUE(tokenizer.is_special(1021));
  EXPECT_FALSE(tokenizer.is_special(268));
  EXPECT_FALSE(tokenizer.is_special(-1));
  EXPECT_FALSE(tokenizer.is_special(1 << 30));
  EXPECT_EQ(tokenizer.decode(Ids{-1, 1024, 1 << 30, 475}), tokenizer.decode(Ids{475}));
}

TEST(Bpe, InvalidUtf8BecomesReplacementCharacters) {
  const Bpe bpe = TokenizerJson().bpe();
  EXPECT_EQ(bpe.encode("a\xFF\xE2\x82z"), bpe.encode("a\xEF\xBF\xBD\xEF\xBF\xBDz"));
  EXPECT_EQ(bpe.encode(std::string_view("a\0b", 3)), (Ids{'a', 0, 'b'}));
}

TEST(Bpe, MergesByRankNotByPosition) {
  const Bpe bpe = TokenizerJson({"b c", "a b", "ab c", "c d"}).bpe();
  EXPECT_EQ(bpe.encode("abcd"), (Ids{'a', 256, 'd'}));  // because "b c" is the first merge
  EXPECT_EQ(bpe.encode("ab"), (Ids{257}));
  EXPECT_EQ(bpe.encode("cd"), (Ids{259}));
  // The leftmost pair is merged first.
  EXPECT_EQ(TokenizerJson({"a a"}).bpe().encode("aaa"), (Ids{256, 'a'}));
}

TEST(Bpe, AgreesWithASimpleImplementation) {
  // The simple implementation follows the definition of BPE. It repeatedly merges the leftmost pair
  // of the lowest rank, until no pair is left.
  const std::vector<std::string> merges = {"a b",  "b a", "ab a", "a a",   "c ab",
                                           "aa b", "b b", "bb a", "aba c", "cab c"};
  const TokenizerJson json(merges);
  const Bpe bpe = json.bpe();
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> symbols;
    std::string text;
    for (unsigned i = 0; i < 1 + random() % 24; ++i) {
      text += static_cast<char>('a' + random() % 3);
      symbols.emplace_back(1, text.back());
    }
    while (true) {
      std::size_t best = merges.size(), at = 0;
      for (std::size_t i = 0; i + 1 < symbols.size(); ++i)
        for (std::size_t rank = 0; rank < best; ++rank)
          if (merges[rank] == symbols[i] + " " + symbols[i + 1]) best = rank, at = i;
      if (best == merges.size()) break;
      symbols[at] += symbols[at + 1];
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
    Ids expected;
    for (const std::string& symbol : symbols)
      expected.push_back(symbol.size() == 1 ? symbol[0] : *bpe.token_id(symbol));
    ASSERT_EQ(bpe.encode(text), expected) << text;
  }
}

TEST(Bpe, MergesMayBePairs) {
  TokenizerJson json({"a b"});
  json.document["model"]["merges"] = nlohmann::json::array({nlohmann::json::array({"a", "b"})});
  EXPECT_EQ(json.bpe().encode("ab"), (Ids{256}));
}

TEST(Bpe, SkipsAVersionLineBeforeTheMerges) {
  TokenizerJson json({"a b"});
  json.document["model"]["merges"] = {"#version: 0.2", "a b"};
  EXPECT_EQ(json.bpe().encode("ab"), (Ids{256}));
}

TEST(Bpe, IgnoreMergesLooksUpTheWholePieceFirst) {
  TokenizerJson json({"a b"});
  json.vocab()["abc"] = 257;
  json.vocab()["\xC4\xA0x"] = 258;
  EXPECT_EQ(json.bpe().encode("abc x"), (Ids{256, 'c', ' ', 'x'}));
  json.document["model"]["ignore_merges"] = true;
  EXPECT_EQ(json.bpe().encode("abc x"), (Ids{257, 258}));
  EXPECT_EQ(json.bpe().encode("abcd"), (Ids{256, 'c', 'd'}));
}

TEST(Bpe, AByteWithoutATokenIsDroppedOrBecomesUnknown) {
  TokenizerJson json;
  json.vocab().erase("x");
  json.vocab()["<unk>"] = 'x';
  EXPECT_EQ(json.bpe().encode("axxb"), (Ids{'a', 'b'}));
  json.document["model"]["unk_token"] = "<unk>";
  EXPECT_EQ(json.bpe().encode("axxb"), (Ids{'a', 'x', 'x', 'b'}));
  json.document["model"]["fuse_unk"] = true;
  EXPECT_EQ(json.bpe().encode("axxbx"), (Ids{'a', 'x', 'b', 'x'}));
}

// Version 0.23 of Hugging Face's tokenizers also accepts a file whose unknown token is missing.
TEST(Bpe, AnUnknownTokenMayBeMissingUntilATextNeedsIt) {
  TokenizerJson json;
  for (const int never_in_utf8 : {0xC0, 0xC1, 0xF5, 0xF8, 0xFF})
    json.vocab().erase(std::string(spelling_of(static_cast<unsigned char>(never_in_utf8))));
  json.document["added_tokens"] = {{{"id", 300}, {"content", "<unk>"}, {"special", true}}};
  const auto expect_needed = [&](const std::string& shown) {
    try {
      json.bpe().encode("axb");
      ADD_FAILURE() << shown;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid_argument);
      EXPECT_EQ(error.what(),
                "text: expected characters that the tokenizer has tokens for, got \"x\" "
                "(and its unk_token " +
                    shown + " is not in its vocabulary)");
    }
  };
  for (const std::string name : {"<unk>", "<nowhere>", ""}) {
    json.document["model"]["unk_token"] = name;
    EXPECT_EQ(json.bpe().encode("axb\xF8<unk>").size(), std::size_t{7});
    json.vocab().erase("x");
    EXPECT_EQ(json.bpe().encode("ab"), (Ids{'a', 'b'}));
    expect_needed('"' + name + '"');
    json.vocab()["x"] = 'x';
  }
}

TEST(AddedTokens, TheLeftmostMatchWinsThenTheLongest) {
  TokenizerJson json;
  const int a = json.add("<a>");
  const int ab = json.add("<a><b>");
  const int b = json.add("<b>");
  const Bpe bpe = json.bpe();
  EXPECT_EQ(bpe.encode("<a>x<a><b><b>"), (Ids{a, 'x', ab, b}));
  EXPECT_EQ(bpe.encode("<<a>>"), (Ids{'<', a, '>'}));
}

TEST(AddedTokens, StripTakesWhiteSpace) {
  TokenizerJson json;
  const int l = json.add("<l>", {{"lstrip", true}});
  const int r = json.add("<r>", {{"rstrip", true}});
  const Bpe bpe = json.bpe();
  EXPECT_EQ(bpe.encode("a \t\xC2\xA0\xE3\x80\x80<l> b"), (Ids{'a', l, ' ', 'b'}));
  EXPECT_EQ(bpe.encode("a <r> \n\xC2\x85 b"), (Ids{'a', ' ', r, 'b'}));
  EXPECT_EQ(bpe.encode("  <l>"), (Ids{l}));
  EXPECT_EQ(bpe.encode("<r>  "), (Ids{r}));
  EXPECT_EQ(bpe.encode("<r> <l>"), (Ids{r, l}));  // only one of the two tokens takes the space
  EXPECT_EQ(bpe.encode("a\xE2\x80\x8B<l>"),
            (Ids{'a', 0xE2, 0x80, 0x8B, l}));  // U+200B is not white space
}

TEST(AddedTokens, SingleWordsMatchOnlyAtWordBoundaries) {
  TokenizerJson json;
  const int w = json.add("ing", {{"single_word", true}});
  const Bpe bpe = json.bpe();
  EXPECT_EQ(bpe.encode("ing"), (Ids{w}));
  EXPECT_EQ(bpe.encode("-ing."), (Ids{'-', w, '.'}));
  for (const std::string text : {"sing", "ings", "_ing", "ing1", "\xC3\xA9ing", "ing\xCC\x8A",
                                 "ing\xE2\x80\x8D", "ing\xE2\x93\x90", "\xE2\x85\xA3ing"})
    EXPECT_EQ(bpe.encode(text), bytes_as_ids(text)) << text;
}

TEST(AddedTokens, NormalizedTokensAreFoundInNormalizedText) {
  TokenizerJson json;
  const std::string decomposed = "e\xCC\x81t", composed = "\xC3\xA9t";
  const int normalized = json.add(decomposed, {{"normalized", true}});
  EXPECT_EQ(json.bpe().encode(decomposed), (Ids{normalized}));
  EXPECT_EQ(json.bpe().encode(composed), (Ids{normalized}));
  // Version 0.23 of Hugging Face's tokenizers decodes it in its normalized form.
  EXPECT_EQ(json.bpe().token(normalized), composed);

  TokenizerJson raw;
  const int literal = raw.add(decomposed);
  EXPECT_EQ(raw.bpe().encode(decomposed), (Ids{literal}));
  EXPECT_EQ(raw.bpe().encode(composed), (Ids{0xC3, 0xA9, 't'}));
}

TEST(AddedTokens, RawTokensSplitTheTextBeforeNormalization) {
  TokenizerJson json;
  const int cut = json.add("<c>");
  EXPECT_EQ(json.bpe().encode("e<c>\xCC\x81"), (Ids{'e', cut, 0xCC, 0x81}));
}

TEST(AddedTokens, DecodeToTheirContent) {
  TokenizerJson json;
  const int token = json.add("\xC3\xA9 \xE6\x97\xA5", {{"special", true}});
  const Bpe bpe = json.bpe();
  EXPECT_EQ(bpe.decode(Ids{token}), "\xC3\xA9 \xE6\x97\xA5");
  EXPECT_TRUE(bpe.is_special(token));
  EXPECT_EQ(bpe.vocab_size(), token + 1);
}

TEST(AddedTokens, SpecialTokensInPlainRangesAreText) {
  TokenizerJson json;
  const int special = json.add("<s>", {{"special", true}});
  const int other = json.add("<o>");
  const int inner = json.add("s>");
  const int normalized = json.add("<n>", {{"special", true}, {"normalized", true}});
  const Bpe bpe = json.bpe();
  const std::string text = "<s><s><o>";
  const auto with = [&](const std::string& of, std::vector<TextRange> plain) {
    return bpe.encode(of, {.plain = plain});
  };
  EXPECT_EQ(with(text, {}), (Ids{special, special, other}));
  EXPECT_EQ(with(text, {{3, 9}}), (Ids{special, '<', 's', '>', other}));
  EXPECT_EQ(with(text, {{0, 3}, {4, 9}}), (Ids{'<', 's', '>', special, other}));
  EXPECT_EQ(with(text, {{1, 5}}), (Ids{special, special, other}));  // no token lies in the range
  EXPECT_EQ(with(text, {{0, 3}, {3, 6}}), bpe.encode(text, {.special_as_text = true}));
  EXPECT_EQ(with("s>", {{0, 2}}), Ids{inner});
  EXPECT_EQ(with("<n>a", {}), (Ids{normalized, 'a'}));
  EXPECT_EQ(with("<n>a", {{3, 4}}), (Ids{'<', 'n', '>', 'a'}));
  EXPECT_EQ(with("<n>a<o>b", {{7, 8}}), (Ids{normalized, 'a', other, 'b'}));
  EXPECT_THROW(with("\xFF", {{0, 1}}), Error);
}

TEST(AddedTokens, MayAlsoBeInTheVocabulary) {
  TokenizerJson json({"a b"});
  json.add("ab", {{"id", 256}});
  EXPECT_EQ(json.bpe().encode("cabc"), (Ids{'c', 256, 'c'}));
}

TEST(Bpe, TextIsUnchangedWithoutANormalizer) {
  TokenizerJson json;
  json.document["normalizer"] = nullptr;
  EXPECT_EQ(json.bpe().encode("e\xCC\x81"), (Ids{'e', 0xCC, 0x81}));
  json.document["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}}}};
  EXPECT_EQ(json.bpe().encode("e\xCC\x81"), (Ids{0xC3, 0xA9}));
}

TEST(Bpe, AByteLevelStepWithoutASplitUsesTheGpt2Pattern) {
  TokenizerJson json({"1 2", "12 3", "\xC4\xA0 a"});
  json.document["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  EXPECT_EQ(json.bpe().encode("123 a"), (Ids{257, 258}));
  json.document["pre_tokenizer"]["add_prefix_space"] = true;
  const int token = json.add("<t>");
  EXPECT_EQ(json.bpe().encode("a<t>a<t> a"), (Ids{258, token, 258, token, 258}));
  json.document["pre_tokenizer"]["use_regex"] = false;
  EXPECT_EQ(json.bpe().encode("x a"), (Ids{' ', 'x', 258}));
}

TEST(Bpe, SplitsApplyOneAfterTheOther) {
  TokenizerJson json({"1 2", "a b"});
  const auto digit = nlohmann::json{{"type", "Split"},
                                    {"pattern", {{"Regex", "\\p{N}"}}},
                                    {"behavior", "Isolated"},
                                    {"invert", false}};
  auto& list = json.document["pre_tokenizer"]["pretokenizers"];
  list[0]["pattern"]["Regex"] = "[^ ]+";
  EXPECT_EQ(json.bpe().encode("12ab"), (Ids{256, 257}));
  list.insert(list.begin() + 1, digit);
  EXPECT_EQ(json.bpe().encode("12ab"), (Ids{'1', '2', 257}));
}

TEST(Bpe, TokensThatDoNotSpellBytesAreDecodedAsTheirText) {
  TokenizerJson json;
  json.vocab()["\xE6\x97\xA5"] = 256;           // this token does not spell bytes
  json.vocab()["a\xE2\x82\xAC\xC4\xA0"] = 257;  // one character of this token does not spell a byte
  json.vocab()["\xC4\xA0\xC3\xA9"] = 258;       // this token spells a space and the byte E9
  const Bpe bpe = json.bpe();
  EXPECT_EQ(bpe.decode(Ids{256}), "\xE6\x97\xA5");
  EXPECT_EQ(bpe.decode(Ids{257}), "a\xE2\x82\xAC\xC4\xA0");
  EXPECT_EQ(bpe.decode(Ids{258}), " \xEF\xBF\xBD");
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

TEST(Bpe, ALongWordTakesNLogNTime) {
  std::vector<std::string> merges;
  for (std::string half = "a"; half.size() < 256; half += half) merges.push_back(half + " " + half);
  const Bpe bpe = TokenizerJson(merges).bpe();
  std::vector<double> seconds;
  for (const int exponent : {16, 18, 20}) {
    const std::string text(std::size_t{1} << exponent, 'a');
    const double start = cpu_seconds();
    EXPECT_EQ(bpe.encode(text), Ids(text.size() / 256, 263));
    seconds.push_back(cpu_seconds() - start);
  }
  // Four times as many letters take a little more than four times as long. With a quadratic loop,
  // they would take 16 times as long.
  EXPECT_LT(seconds[2], 10 * seconds[1] + 0.05);
  EXPECT_LT(seconds[1], 10 * seconds[0] + 0.05);
}

TEST(Bpe, LongTextsTakeLinearTime) {
  const Bpe bpe = TokenizerJson().bpe();
  for (const std::string unit : {" ", "\n", " \n", "a ", "1", "'", "\xC2\xA0", "\xCC\x81", "'s"}) {
    std::string text;
    while (text.size() < (std::size_t{1} << 20)) text += unit;
    const double start = cpu_seconds();
    EXPECT_EQ(bpe.encode(text), bytes_as_ids(text)) << unit;
    EXPECT_LT(cpu_seconds() - start, 20.0) << unit;
  }
}

TEST(Bpe, LoadsAVocabularyOf150000Tokens) {
  // Each token is a number in base 16, with the letters a to p as digits. The merges join the
  // digits of a number from left to right.
  std::vector<std::string> tokens;
  auto vocabulary = nlohmann::json::object();
  auto merges = nlohmann::json::array();
  for (int byte = 0; byte < 256; ++byte)
    vocabulary[std::string(spelling_of(static_cast<unsigned char>(byte)))] = byte;
  std::vector<std::string> level;
  for (char c = 'a'; c <= 'p'; ++c) level.emplace_back(1, c);
  while (vocabulary.size() < 150000) {
    std::vector<std::string> next;
    for (const std::string& prefix : level) {
      for (char c = 'a'; c <= 'p' && vocabulary.size() < 150000; ++c) {
        next.push_back(prefix + c);
        vocabulary[next.back()] = vocabulary.size();
        merges.push_back(prefix + " " + c);
      }
    }
    level = std::move(next);
  }
  TokenizerJson json;
  json.document["model"]["vocab"] = vocabulary;
  json.document["model"]["merges"] = merges;
  const std::string text = json.text();
  const double start = cpu_seconds();
  const Bpe bpe = bpe_from_json(text, "tokenizer.json");
  const double seconds = cpu_seconds() - start;
  RecordProperty("load_ms", static_cast<int>(seconds * 1000));
  EXPECT_LT(seconds, 20.0);  // quadratic loading would take minutes
  EXPECT_EQ(bpe.vocab_size(), 150000);
  EXPECT_EQ(bpe.encode("ab"), (Ids{*bpe.token_id("ab")}));
  EXPECT_EQ(bpe.encode("abcd"), (Ids{*bpe.token_id("ab"), *bpe.token_id("cd")}));
  EXPECT_EQ(bpe.token(149999).size(), 5u);
}

}  // namespace
}  // namespace bitaxon
