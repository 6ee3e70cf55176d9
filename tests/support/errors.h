// Expectations about errors.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string_view>

#include "bitaxon/error.h"

namespace bitaxon::test {

/// Expects that `act` throws an Error of `kind`. Its message is one line of reasonable length that
/// holds every fragment.
template <class Act>
void expect_error(const Act& act, ErrorKind kind,
                  std::initializer_list<std::string_view> fragments) {
  try {
    act();
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    const std::string_view what = error.what();
    EXPECT_EQ(error.kind(), kind) << what;
    for (const std::string_view fragment : fragments)
      EXPECT_NE(what.find(fragment), what.npos) << what << "\nshould hold: " << fragment;
    EXPECT_EQ(what.find_first_of("\n\r\t\x1b"), what.npos) << what << "\nis not one line";
    EXPECT_LT(what.size(), 800u) << what;
  }
}

}  // namespace bitaxon::test
