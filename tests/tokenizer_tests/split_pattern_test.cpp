#include "tokenizer/split_pattern.h"

#include <gtest/gtest.h>

#include <vector>

#include "bitaxon/error.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer_json.h"

namespace bitaxon {
namespace {

using Pieces = std::vector<std::string>;

Pieces pieces(std::string_view pattern, std::string_view text) {
  Pieces out;
  SplitPattern(pattern, "t").for_each_part(text, [&](TextPart part) {
    if (!part.text.empty()) out.emplace_back(part.text);
  });
  return out;
}

std::string utf8_of(std::uint32_t c) {
  std::string out;
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 63));
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  }
  return out;
}

TEST(SplitPattern, SplitsByTheQwenPattern) {
  EXPECT_EQ(pieces(kQwenPattern, "I'll pay 12 $$!\n\n  now "),
            (Pieces{"I", "'ll", " pay", " ", "1", "2", " $$!\n\n", " ", " now", " "}));
  // When both regular expression engines ignore case, the long s equals s and the Kelvin sign
  // equals k.
  EXPECT_EQ(pieces(kQwenPattern, "it'\xC5\xBFx"), (Pieces{"it", "'\xC5\xBF", "x"}));
  EXPECT_EQ(pieces("(?i:k)", "a\xE2\x84\xAA"), (Pieces{"a", "\xE2\x84\xAA"}));
  EXPECT_EQ(pieces(kQwenPattern, ""), Pieces{});
}

TEST(SplitPattern, SplitsByTheGpt2Pattern) {
  EXPECT_EQ(pieces(kGpt2Pattern, "don't 123  x"), (Pieces{"don", "'t", " 123", " ", " x"}));
}

TEST(SplitPattern, KeepsTextBetweenMatches) {
  EXPECT_EQ(pieces("b+", "abbc"), (Pieces{"a", "bb", "c"}));
  EXPECT_EQ(pieces("x", "abc"), (Pieces{"abc"}));
  EXPECT_EQ(pieces("b*", "abbc"), (Pieces{"a", "bb", "c"}));  // an empty match splits the text, too
  EXPECT_EQ(pieces("", "a\xC3\xA9"), (Pieces{"a", "\xC3\xA9"}));
  // As in Ruby, ^ matches after each line end.
  EXPECT_EQ(pieces("^b", "a\nb\nb"), (Pieces{"a\n", "b", "\n", "b"}));
}

// Over all of Unicode, \s matches exactly the characters that have the property White_Space.
TEST(SplitPattern, WhiteSpaceIsExactForAllOfUnicode) {
  const auto is_space = [](std::uint32_t c) {
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
  };
  std::string spaces, others;
  for (std::uint32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    (is_space(c) ? spaces : others) += utf8_of(c);
  }
  for (const char* pattern : {"\\s+", "[\\s]+", "[^\\S]+", "[^a\\S]+"}) {
    EXPECT_EQ(pieces(pattern, others), Pieces{others}) << pattern;
    EXPECT_EQ(pieces(pattern, spaces + "x"), (Pieces{spaces, "x"})) << pattern;
  }
  for (const char* pattern : {"\\S+", "[\\S]+", "[^\\s]+"}) {
    EXPECT_EQ(pieces(pattern, spaces), Pieces{spaces}) << pattern;
    EXPECT_EQ(pieces(pattern, others + " "), (Pieces{others, " "})) << pattern;
  }
}

TEST(SplitPattern, RefusesSyntaxThatTheEnginesReadDifferently) {
  for (const std::string pattern : {"\\w",
                                    "\\W",
                                    "\\b",
                                    "\\h",
                                    "\\R",
                                    "\\X",
                                    "\\K",
                                    "\\G",
                                    "\\1",
                                    "\\v",
                                    "\\u00e9",
                                    "\\x41",
                                    "\\Q",
                                    "\\C",
                                    "\\N",
                                    "\\p{Han}",
                                    "\\p{Alphabetic}",
                                    "\\pL",
                                    "\\p{L&}",
                                    "\\p{}",
                                    "\\p{L",
                                    "\\x{}",
                                    "\\x{1234567}",
                                    "(?m:a)",
                                    "(?s:a)",
                                    "(?x)a",
                                    "(?<n>a)",
                                    "(?P<n>a)",
                                    "(?R)",
                                    "(?#c)",
                                    "(*ANY)a",
                                    "[[:alpha:]]",
                                    "[a[b]]",
                                    "[a&&b]",
                                    "[]a]",
                                    "[^]a]",
                                    "a{,3}",
                                    "a{2}+",
                                    "a{x",
                                    "[\\s-z]",
                                    "[+-\\s]",
                                    "\\"}) {
    try {
      SplitPattern(pattern, "t");
      ADD_FAILURE() << pattern << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::unsupported) << pattern << ": " << error.what();
    }
  }
  for (const std::string pattern : {"(", "a**", "[z-a]", "(?i:", "a)", "[a"}) {
    try {
      SplitPattern(pattern, "t");
      ADD_FAILURE() << pattern << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::format) << pattern << ": " << error.what();
    }
  }
}

TEST(SplitPattern, AcceptsOtherKnownPatterns) {
  // These are the patterns of Llama 3, GPT-4o and DeepSeek V3.
  for (
      const char* pattern :
      {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       "[\xE4\xB8\x80-\xE9\xBE\xA5\xE0\xA0\x80-\xE4\xB8\x80]+",
       R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"})
    EXPECT_NO_THROW(SplitPattern(pattern, "t")) << pattern;
}

TEST(SplitPattern, ARunawayPatternIsAnErrorAndDoesNotHang) {
  try {
    pieces("(?:a+)+[bc]", std::string(64, 'a'));
    ADD_FAILURE() << "the search ended without an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    EXPECT_NE(std::string(error.what()).find("t: the pattern fails on this text at byte 0"),
              std::string::npos)
        << error.what();
  }
}

TEST(SplitPattern, ADeepMatchDoesNotOverflowTheStack) {
  const std::string text(1 << 20, 'a');
  EXPECT_EQ(pieces("(?:a|b)+", text), Pieces{text});
  EXPECT_EQ(pieces("(?:ab?)+?$", text), Pieces{text});
}

}  // namespace
}  // namespace bitaxon
