// Checks of our own reasoning. Never for input: that gets an Error of another kind.
#pragma once

namespace bitaxon {

/// Throws Error(internal).
[[noreturn]] void broken_invariant(const char* file, int line, const char* condition,
                                   const char* message);

}  // namespace bitaxon

// On in every build type: a broken invariant must not turn into wrong text. It is an exception, so
// that a program that uses the library survives it.
#define BX_ASSERT(condition, message)                                       \
  do {                                                                      \
    if (!(condition)) [[unlikely]]                                          \
      ::bitaxon::broken_invariant(__FILE__, __LINE__, #condition, message); \
  } while (false)
