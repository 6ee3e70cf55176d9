// Checks of error messages. Every fuzzer applies these checks to the errors that its inputs cause.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "bitaxon/error.h"

namespace bitaxon {

/// Prints a report and stops the fuzzer.
[[noreturn]] inline void fuzzer_failed(const char* why, std::string_view what) {
  std::fprintf(stderr, "%s: %.*s\n", why, static_cast<int>(what.size()), what.data());
  std::abort();
}

/// Checks that the message of the error is one short line that begins with `begin`.
inline void check_message(const Error& error, std::string_view begin) {
  const std::string_view what = error.what();
  if (!what.starts_with(begin)) fuzzer_failed("message begins otherwise", what);
  if (what.size() > 1500) fuzzer_failed("long message", what);
  for (const char c : what)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      fuzzer_failed("control character in a message", what);
}

}  // namespace bitaxon
