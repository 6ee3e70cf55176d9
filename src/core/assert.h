// Checks of the library's own invariants. Invalid input is not checked here: it causes an Error of
// another kind.
#pragma once

namespace bitaxon {

/// Throws Error(internal).
[[noreturn]] void broken_invariant(const char* file, int line, const char* condition,
                                   const char* message);

}  // namespace bitaxon

// The check is enabled in every build type, because a broken invariant must not turn into wrong
// text. The check throws, so that a program that uses the library survives.
#define BX_ASSERT(condition, message)                                       \
  do {                                                                      \
    if (!(condition)) [[unlikely]]                                          \
      ::bitaxon::broken_invariant(__FILE__, __LINE__, #condition, message); \
  } while (false)
