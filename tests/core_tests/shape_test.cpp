#include "bitaxon/shape.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/errors.h"

namespace bitaxon::test {
namespace {

TEST(Shape, CountsElements) {
  EXPECT_EQ(Shape().elements(), 1);
  EXPECT_EQ(Shape().rank(), 0);
  EXPECT_EQ((Shape{2, 3, 4}).elements(), 24);
  EXPECT_EQ((Shape{2, 0, 4}).elements(), 0);
  EXPECT_EQ((Shape{2, 3})[1], 3);
  EXPECT_EQ((Shape{2, 3, 4}).to_string(), "[2, 3, 4]");
  EXPECT_EQ(Shape().to_string(), "[]");
}

TEST(Shape, ComparesRankAndExtents) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_FALSE((Shape{2, 3}) == (Shape{3, 2}));
  EXPECT_FALSE((Shape{2}) == (Shape{2, 1}));
  EXPECT_FALSE((Shape{0}) == (Shape{0, 0}));
}

TEST(Shape, RefusesInvalidExtents) {
  constexpr std::int64_t kBig = std::int64_t{1} << 62;
  EXPECT_EQ((Shape{kBig}).elements(), kBig);
  EXPECT_EQ((Shape{kBig / 2, 2}).elements(), kBig);
  expect_invalid([&] { Shape{kBig + 1}; }, "shape: expected extents >= 0");
  expect_invalid([&] { Shape{kBig, 2}; }, "shape: expected extents >= 0");
  expect_invalid([&] { Shape{kBig, kBig, kBig}; }, "shape: expected extents >= 0");
  expect_invalid([&] { Shape{2, -1}; }, "got [2, -1]");
  const std::vector<std::int64_t> nine(9, 1);
  expect_invalid([&] { Shape{std::span<const std::int64_t>(nine)}; },
                 "expected at most 8 extents, got 9");
}

}  // namespace
}  // namespace bitaxon::test
