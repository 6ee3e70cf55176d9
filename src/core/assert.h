// Checks of our own reasoning. Never for input: that gets an Error.
#pragma once

#include <cstdio>
#include <cstdlib>

// On in every build type: a broken invariant must not turn into wrong text.
#define BX_ASSERT(condition, message)                                                     \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, message); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)
