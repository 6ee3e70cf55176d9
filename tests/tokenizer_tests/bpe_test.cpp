#include <gtest/gtest.h>

TEST(Bpe, Placeholder) {}
