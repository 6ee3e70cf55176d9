#include "formats/json.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "platform/file.h"
#include "platform/printable.h"
#include "support/errors.h"
#include "support/source_tree.h"

namespace bitaxon {
namespace {

using test::expect_error;

void expect_refused(std::string_view text, std::string_view fragment,
                    const JsonLimits& limits = {}) {
  SCOPED_TRACE(printable(text.substr(0, 60)));
  expect_error([&] { parse_json(text, "a.json", limits); }, ErrorKind::format,
               "a.json: ", fragment);
}

std::string repeated(std::string_view text, std::size_t n) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out += text;
  return out;
}

TEST(Json, KeepsValuesAndOrder) {
  const Json json = parse_json(
      R"({"z": 1, "a": [true, null, -2, 2.5, "ä\n\ud83d\ude00"], "m": {"k": {}}, "": []})", "t");
  EXPECT_EQ(json.dump(), R"({"z":1,"a":[true,null,-2,2.5,"ä\n😀"],"m":{"k":{}},"":[]})");
  EXPECT_EQ(parse_json(" 7 ", "t"), 7);
  EXPECT_EQ(parse_json("\"x\"", "t"), "x");
  EXPECT_TRUE(parse_json("18446744073709551615", "t").is_number_unsigned());
  EXPECT_TRUE(parse_json("-9223372036854775808", "t").is_number_integer());
}

TEST(Json, AgreesWithTheParserOfNlohmann) {
  const std::string text = read_whole_file(test::golden_dir() / "ops" / "ops.json", 1 << 20);
  EXPECT_EQ(parse_json(text, "ops.json"), Json::parse(text));
}

TEST(Json, AcceptsAByteOrderMark) {
  EXPECT_EQ(parse_json("\xef\xbb\xbf{}", "t"), Json::object());
  EXPECT_EQ(without_byte_order_mark("\xef\xbb\xbf{}"), "{}");
  for (const char* text : {"", "{}", "\xef\xbb{}", " \xef\xbb\xbf{}"})
    EXPECT_EQ(without_byte_order_mark(text), text);
  expect_refused("\xef\xbb{}", "not JSON");
  expect_refused("\xef\xbb\xbf\xef\xbb\xbf{}", "not JSON");
}

TEST(Json, RefusesUtf16) {
  using namespace std::string_view_literals;
  expect_refused("\xff\xfe{\0}\0"sv, "expected JSON in UTF-8, got UTF-16");
  expect_refused("\xfe\xff\0{\0}"sv, "expected JSON in UTF-8, got UTF-16");
}

TEST(Json, RefusesInvalidJson) {
  expect_refused("", "at byte 0: not JSON");
  expect_refused("{", "at byte 1: not JSON");
  expect_refused("[1,]", "at byte 3: not JSON");
  expect_refused("[1] 2", "at byte 4: not JSON");
  expect_refused("{\"a\" 1}", "at byte 5: not JSON");
  expect_refused("// c\n1", "at byte 0: not JSON");
  expect_refused("[NaN]", "not JSON");
  expect_refused("[01]", "not JSON");
  expect_refused("[1e999]", "at byte 5: not JSON: number overflow");
  expect_refused("[-1e999]", "number overflow");
  expect_refused("\"\x1b[31m\"", "control character");
  expect_refused("\"a\nb\"", "control character");
}

TEST(Json, RefusesANulByte) {
  expect_refused(std::string_view("{}\0", 3), "at byte 2: not JSON: a NUL byte");
  expect_refused(std::string_view("\0{}", 3), "at byte 0: not JSON: a NUL byte");
}

TEST(Json, RefusesInvalidUtf8) {
  expect_refused("\"\xff\"", "ill-formed UTF-8");
  expect_refused("\"\xc0\xaf\"", "ill-formed UTF-8");
  expect_refused("\"\xed\xa0\x80\"", "ill-formed UTF-8");
  expect_refused("{\"\xe2\x82\": 1}", "ill-formed UTF-8");
  expect_refused("\"\\ud800\"", "surrogate");
  expect_refused("\"\\udc00x\"", "surrogate");
}

TEST(Json, RefusesAKeyThatAppearsTwice) {
  expect_refused(R"({"a":1,"a":2})", "at byte 9: key \"a\" appears twice");
  expect_refused(R"([{"x":{"k":1,"b":0,"\u006b":2}}])", "key \"k\" appears twice");
  EXPECT_EQ(parse_json(R"({"a":{"a":1},"b":{"a":1}})", "t").size(), 2u);
}

TEST(Json, RefusesDeepNestingWhileParsing) {
  const JsonLimits three{.max_depth = 3};
  EXPECT_NO_THROW(parse_json("[[[1]]]", "t", three));
  expect_refused("[[[[1]]]]", "at byte 3: expected at most 3 levels", three);
  expect_refused(R"({"a":{"a":{"a":{}}}})", "at most 3 levels", three);
  expect_refused("[]", "at most 0 levels", {.max_depth = 0});
  expect_refused(repeated("[", 4'000'000), "at most 32 levels");
  expect_refused(repeated("{\"a\":", 1'000'000), "at most 32 levels");
}

TEST(Json, RefusesTextThatIsTooLong) {
  expect_refused("[1, 2]", "expected at most 5 bytes of JSON, got 6", {.max_bytes = 5});
  EXPECT_NO_THROW(parse_json("[1, 2]", "t", {.max_bytes = 6}));
}

TEST(Json, MessagesStayShort) {
  expect_refused("[" + repeated("x", 100'000), "not JSON");
  expect_refused("[\"" + repeated("\xc3\xa4", 100'000), "not JSON");
  const std::string key(100'000, 'k');
  expect_refused("{\"" + key + "\":1,\"" + key + "\":1}", "appears twice");
  expect_refused("{\"\\u001b[2J\":1,\"\\u001b[2J\":1}", "\\u{1b}[2J");
}

/// If the parser searched the object for each new key, this text would take minutes.
TEST(Json, ReadsALargeObjectInLinearTime) {
  std::string text = "{";
  for (int i = 0; i < 300'000; ++i) text += "\"token" + std::to_string(i) + "\":1,";
  text.back() = '}';
  EXPECT_EQ(parse_json(text, "t").size(), 300'000u);
}

TEST(Printable, EscapesControlCharacters) {
  EXPECT_EQ(printable("plain ä 😀"), "plain ä 😀");
  EXPECT_EQ(printable("a\nb\x1b[0m\x7f"), "a\\u{a}b\\u{1b}[0m\\u{7f}");
  EXPECT_EQ(printable("\xc2\x9b|\xe2\x80\xa8|\xe2\x80\xae"), "\\u{9b}|\\u{2028}|\\u{202e}");
  EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\u{0}");
}

TEST(Printable, CutsBetweenCharacters) {
  EXPECT_EQ(printable("abcd", 4), "abcd");
  EXPECT_EQ(printable("abcde", 4), "abcd...");
  EXPECT_EQ(printable("abc\xc3\xa4", 4), "abc...");
}

}  // namespace
}  // namespace bitaxon
