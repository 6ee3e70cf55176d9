#include "tokenizer/vocab_mapping.h"

#include <gtest/gtest.h>

#include <string>

#include "bitaxon/error.h"

namespace bitaxon {
namespace {

TEST(VocabMapping, ReadsJsonAndPythonDicts) {
  for (const char* text :
       {R"({"12": 3, "15": 4})", "{12: 3, 15: 4}", "{12:3,15:4,}", " {\n12 :3 ,\t15: 4 , } \n"}) {
    const auto mapping = VocabMapping::parse(text, "m");
    EXPECT_EQ(mapping.size(), 2u) << text;
    EXPECT_EQ(mapping.to_model(12), 3);
    EXPECT_EQ(mapping.to_model(15), 4);
    EXPECT_EQ(mapping.to_model(3), std::nullopt);
    EXPECT_EQ(mapping.to_tokenizer(4), 15);
    EXPECT_EQ(mapping.to_tokenizer(5), std::nullopt);
    EXPECT_EQ(mapping.max_model_id(), 4);
  }
  EXPECT_EQ(VocabMapping::parse("{}", "m").size(), 0u);
  EXPECT_EQ(VocabMapping::parse("{ }", "m").max_model_id(), -1);
  EXPECT_EQ(VocabMapping::parse("{2147483647: 0}", "m").to_model(2147483647), 0);
}

TEST(VocabMapping, MapsBackToTheLowestOfSeveralIds) {
  const auto mapping = VocabMapping::parse("{9: 1, 4: 1, 6: 1}", "m");
  EXPECT_EQ(mapping.to_tokenizer(1), 4);
  EXPECT_EQ(mapping.to_model(9), 1);
}

TEST(VocabMapping, RefusesOtherSyntax) {
  struct Case {
    std::string text, message;
  };
  const Case cases[] = {
      {"", "at byte 0: expected '{', got the end"},
      {"[]", "at byte 0: expected '{', got \"[\""},
      {"{1: 2", "at byte 5: expected ',', got the end"},
      {"{1: 2}x", "at byte 6: expected nothing after the map"},
      {"{1 2}", "at byte 3: expected ':', got \"2\""},
      {"{,}", "at byte 1: expected a number of digits only"},
      {"{1: 2,,}", "at byte 6: expected a number of digits only"},
      {"{-1: 2}", "at byte 1: expected a number of digits only"},
      {"{1: -2}", "at byte 4: expected a number of digits only"},
      {"{1: 2.0}", "at byte 5: expected ',', got \".\""},
      {"{1: 1e3}", "at byte 5: expected ',', got \"e\""},
      {"{0x1: 2}", "at byte 2: expected ':', got \"x\""},
      {"{1_0: 2}", "at byte 2: expected ':', got \"_\""},
      {"{01: 2}", "at byte 1: a number with a leading zero"},
      {"{1: 2147483648}", "at byte 4: an id of 2^31 or more"},
      {"{99999999999999999999999999: 1}", "at byte 1: an id of 2^31 or more"},
      {"{1: 2, 1: 3}", "at byte 7: the tokenizer id 1 appears twice"},
      {R"({"1": 2,})", "at byte 8: expected another pair"},
      {R"({" 1": 2})", "at byte 2: expected a number of digits only"},
      {R"({"1 ": 2})", "at byte 3: expected '\"' after the number"},
      {R"({"1": "2"})", "at byte 6: expected a number of digits only"},
      {R"({"1": 2, 3: 4})", "at byte 9: expected '\"', got \"3\""},
      {R"({1: 2, "3": 4})", "at byte 7: expected a number of digits only"},
      {"{'1': 2}", "at byte 1: expected a number of digits only"},
      {"{1: __import__('os')}", "at byte 4: expected a number of digits only"},
      {"{1: {}}", "at byte 4: expected a number of digits only"},
      {"{1: 2} # end", "at byte 7: expected nothing after the map"},
      {std::string("{1: 2}\0", 7), "at byte 6: expected nothing after the map"},
  };
  for (const Case& c : cases) {
    try {
      VocabMapping::parse(c.text, "file");
      ADD_FAILURE() << c.text << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::format);
      EXPECT_EQ(error.what(), "file: " + c.message) << c.text;
    }
  }
}

}  // namespace
}  // namespace bitaxon
