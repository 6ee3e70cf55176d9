#include "formats/json.h"

#include <gtest/gtest.h>

TEST(Json, Parses) { EXPECT_EQ(bitaxon::parse_json("[1]", "t").size(), 1u); }
