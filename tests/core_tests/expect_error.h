#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "bitaxon/error.h"

namespace bitaxon::test {

/// Expects that `act` throws Error(invalid_argument) with a message that contains `part`.
template <class Act>
void expect_invalid(const Act& act, std::string_view part) {
  try {
    act();
    ADD_FAILURE() << "nothing was thrown; expected: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid_argument) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos)
        << "expected \"" << part << "\" in \"" << error.what() << "\"";
  }
}

}  // namespace bitaxon::test
