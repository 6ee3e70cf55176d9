// Functions that expect an error.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string_view>

#include "bitaxon/error.h"

namespace bitaxon::test {

/// Expects that `act` throws an Error of this kind. The message must be one line of reasonable
/// length that contains every fragment.
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

/// Like the function above. The message must also begin with `begin`.
template <class Act>
void expect_error(const Act& act, ErrorKind kind, std::string_view begin,
                  std::string_view fragment) {
  const auto checked = [&] {
    try {
      act();
    } catch (const Error& error) {
      EXPECT_TRUE(std::string_view(error.what()).starts_with(begin))
          << error.what() << "\nshould begin with " << begin;
      throw;
    }
  };
  expect_error(checked, kind, {fragment});
}

template <class Act>
void expect_invalid(const Act& act, std::string_view fragment) {
  expect_error(act, ErrorKind::invalid_argument, {fragment});
}

}  // namespace bitaxon::test
