#include "platform/utf8.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tokenizer/normalization_form.h"

namespace bitaxon {
namespace {

const std::string kFffd(kReplacement);

TEST(Utf8, BrokenBytesBecomeOneReplacementForEachMaximalSubpart) {
  EXPECT_EQ(to_valid_utf8(""), "");
  EXPECT_EQ(to_valid_utf8("aé日🙂"), "aé日🙂");
  EXPECT_EQ(to_valid_utf8(std::string("a\0b", 3)), std::string("a\0b", 3));
  // The example of table 3-8 in Unicode 15: 61 F1 80 80 E1 80 C2 62 80 63 80 BF 64
  EXPECT_EQ(to_valid_utf8("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "a" + kFffd + kFffd + kFffd + "b" + kFffd + "c" + kFffd + kFffd + "d");
  EXPECT_EQ(to_valid_utf8("\xC0\xAF"), kFffd + kFffd);              // an overlong form
  EXPECT_EQ(to_valid_utf8("\xE0\x80\xAF"), kFffd + kFffd + kFffd);  // an overlong form
  EXPECT_EQ(to_valid_utf8("\xED\xA0\x80"), kFffd + kFffd + kFffd);  // a surrogate
  // A number beyond U+10FFFF.
  EXPECT_EQ(to_valid_utf8("\xF4\x90\x80\x80").size(), 4 * kFffd.size());
  EXPECT_EQ(to_valid_utf8("\xF8\x88\x80\x80\x80").size(), 5 * kFffd.size());
  EXPECT_EQ(to_valid_utf8("x\xF0\x9F\x99"), "x" + kFffd);  // a character that is cut off at the end
}

TEST(Utf8, TakeCompleteKeepsAnIncompleteCharacterBack) {
  std::string held = "a\xF0\x9F";
  EXPECT_EQ(take_complete(held), "a");
  EXPECT_EQ(held, "\xF0\x9F");
  held += "\x99\x82z";
  EXPECT_EQ(take_complete(held), "🙂z");
  EXPECT_EQ(held, "");
  held = "\xF0\x9F";
  held += "b";
  EXPECT_EQ(take_complete(held), kFffd + "b");
}

TEST(Utf8, TakingBytesOneByOneEqualsTakingAllAtOnce) {
  std::mt19937 random(1);
  const std::string letters = "a\x80\xBF\xC3\xA9\xE2\x82\xAC\xED\xA0\xF0\x9F\x99\xF4\x90\xFF";
  for (int round = 0; round < 5000; ++round) {
    std::string bytes, held, pieces;
    for (int i = 0; i < 12; ++i) {
      bytes += letters[random() % letters.size()];
      held += bytes.back();
      pieces += take_complete(held);
      ASSERT_EQ(valid_prefix(pieces), pieces.size());
      ASSERT_LE(held.size(), 3u);
    }
    ASSERT_EQ(pieces + to_valid_utf8(held), to_valid_utf8(bytes));
  }
}

TEST(Utf8, QuotedTextIsOneLine) {
  EXPECT_EQ(in_quotes("a\nb\x7F"), "\"a\\x0ab\\x7f\"");
  EXPECT_LT(in_quotes(std::string(1000, 'x')).size(), 80u);
}

TEST(Utf8, CharactersGoThroughTheirBytes) {
  for (const char32_t code : {0x0U, 0x7FU, 0x80U, 0x7FFU, 0x800U, 0xFFFFU, 0x10000U, 0x10FFFFU}) {
    std::string text = "x";
    append_character(text, code);
    EXPECT_EQ(last_character(text).code, code);
    EXPECT_EQ(first_character(text.substr(1)).code, code);
    EXPECT_EQ(first_character(text.substr(1) + "x").length, text.size() - 1);
    EXPECT_EQ(valid_prefix(text), text.size());
  }
}

std::string nfc(std::string_view text) { return normalized(text, NormalizationForm::nfc); }

TEST(Nfc, ComposesAndOrdersMarks) {
  EXPECT_EQ(nfc("plain \xC3\xA9"), "plain é");
  EXPECT_EQ(nfc("e\xCC\x81"), "é");
  EXPECT_EQ(nfc("\xE2\x84\xAB"), "\xC3\x85");                // the Angstrom sign
  EXPECT_EQ(nfc("q\xCC\x87\xCC\xA3"), "q\xCC\xA3\xCC\x87");  // marks must be in canonical order
  EXPECT_EQ(nfc("\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8"), "\xEA\xB0\x81");  // a Hangul syllable
  // A character that is excluded from composition.
  EXPECT_EQ(nfc("\xE0\xA5\x98"), "\xE0\xA4\x95\xE0\xA4\xBC");
  EXPECT_EQ(nfc(std::string("\0e\xCC\x81\0", 5)), std::string("\0é\0", 4));
}

TEST(Nfc, ALongRunOfMarksTakesNLogNTime) {
  std::string text = "a";
  for (int i = 0; i < 200000; ++i) text += i % 2 == 0 ? "\xCC\x81" : "\xCC\xA3";
  const std::string normal = nfc(text);            // an insertion sort would take minutes
  EXPECT_EQ(normal.substr(0, 3), "\xE1\xBA\xA1");  // the letter a with a dot below
}

TEST(NormalizationForm, DecomposesAndReplacesCompatibleCharacters) {
  const std::string text = "\xC3\xA9\xEF\xAC\x81\xEA\xB0\x81";  // e acute, the ligature fi, Hangul
  EXPECT_EQ(normalized(text, NormalizationForm::nfd),
            "e\xCC\x81\xEF\xAC\x81\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8");
  EXPECT_EQ(normalized(text, NormalizationForm::nfkc),
            "\xC3\xA9"
            "fi\xEA\xB0\x81");
  EXPECT_EQ(normalized(text, NormalizationForm::nfkd),
            "e\xCC\x81"
            "fi\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8");
}

// As in Hugging Face's tokenizers 0.23, whose tables are those of Unicode 12.
TEST(NormalizationForm, LeavesNewerCharactersAsTheyAre) {
  const std::string pair = "\xF0\x91\xA4\xB5\xF0\x91\xA4\xB0";  // composes since Unicode 13
  EXPECT_EQ(nfc(pair), pair);
  const std::string composed = "\xF0\x91\xA4\xB8";
  EXPECT_EQ(normalized(composed, NormalizationForm::nfd), composed);
  // U+0898 is a mark of Unicode 14. It does not move behind the dot below.
  const std::string marks = "q\xCC\x81\xE0\xA2\x98\xCC\xA3";
  EXPECT_EQ(nfc(marks), marks);
}

}  // namespace
}  // namespace bitaxon
