// Tests of finding stop strings in text that arrives in pieces.
#include "generate/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>

namespace bitaxon::test {
namespace {

using Strings = std::vector<std::string>;

Strings push_all(StopMatcher& matcher, const Strings& pieces) {
  Strings out;
  for (const std::string& piece : pieces) out.push_back(matcher.push(piece));
  return out;
}

TEST(StopMatcher, WithoutStopStringsReturnsAllText) {
  StopMatcher matcher({});
  EXPECT_EQ(push_all(matcher, {"a", "", "bc"}), (Strings{"a", "", "bc"}));
  EXPECT_FALSE(matcher.found());
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, HoldsTextThatMayBeginAStopString) {
  StopMatcher matcher({"stop"});
  EXPECT_EQ(push_all(matcher, {"a s", "t", "ay st", "o"}), (Strings{"a ", "", "stay ", ""}));
  EXPECT_FALSE(matcher.found());
  EXPECT_EQ(matcher.finish(), "sto");
}

TEST(StopMatcher, ReturnsNoTextFromTheStopStringOn) {
  StopMatcher matcher({"stop"});
  EXPECT_EQ(push_all(matcher, {"one st", "op two", "three"}), (Strings{"one ", "", ""}));
  EXPECT_TRUE(matcher.found());
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, StopsAtTheFirstCharacter) {
  StopMatcher matcher({"x"});
  EXPECT_EQ(matcher.push("x"), "");
  EXPECT_TRUE(matcher.found());
}

TEST(StopMatcher, FindsAMatchThatBeginsInsideAFailedMatch) {
  StopMatcher matcher({"aab"});
  EXPECT_EQ(push_all(matcher, {"a", "a", "a", "b"}), (Strings{"", "", "a", ""}));
  EXPECT_TRUE(matcher.found());
}

TEST(StopMatcher, HandlesStopStringsWithOverlappingBeginnings) {
  {
    StopMatcher matcher({"abcd", "abx"});
    EXPECT_EQ(push_all(matcher, {"ab", "c", "x"}), (Strings{"", "", "abcx"}));
  }
  StopMatcher matcher({"abcd", "bce"});
  EXPECT_EQ(push_all(matcher, {"ab", "ce"}), (Strings{"", "a"}));
  EXPECT_TRUE(matcher.found());
}

TEST(StopMatcher, EndsAtTheStopStringThatComesFirstInTheText) {
  StopMatcher matcher({"two", "one"});
  EXPECT_EQ(matcher.push("zero one two"), "zero ");
}

// Pushes random text of the letters a and b in random pieces. After each piece, compares the result
// with a search of the whole text.
TEST(StopMatcher, AgreesWithASearchOfTheWholeText) {
  std::mt19937 random(1);
  const auto text_of = [&](std::size_t n) {
    std::string text;
    while (text.size() < n) text += random() % 2 != 0 ? 'a' : 'b';
    return text;
  };
  for (int round = 0; round < 3000; ++round) {
    Strings stops;
    for (std::size_t i = 0; i < 1 + random() % 3; ++i) stops.push_back(text_of(1 + random() % 6));
    StopMatcher matcher(stops);
    std::string all, out;
    while (all.size() < 20 && !matcher.found()) {
      const std::string piece = text_of(random() % 4);
      all += piece;
      out += matcher.push(piece);
      std::size_t first = all.size(), held = 0;
      bool found = false;
      for (const std::string& stop : stops) {
        const std::size_t at = all.find(stop);
        found = found || at != all.npos;
        first = std::min(first, at);
        for (std::size_t n = 1; n < stop.size(); ++n)
          if (all.ends_with(stop.substr(0, n))) held = std::max(held, n);
      }
      ASSERT_EQ(matcher.found(), found) << all;
      ASSERT_EQ(out, found ? all.substr(0, first) : all.substr(0, all.size() - held)) << all;
    }
    if (!matcher.found()) {
      ASSERT_EQ(out + matcher.finish(), all);
    }
  }
}

}  // namespace
}  // namespace bitaxon::test
