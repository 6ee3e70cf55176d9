// The checks of the sample op as a suite. A test program instantiates it for its backends and lists
// sample_checks.cpp among its sources.
#pragma once

#include <gtest/gtest.h>

#include <ostream>

#include "core/backend.h"

namespace bitaxon::test {

struct SampleBackend {
  const char* name;
  Backend& (*open)();
  int n_rounds;           ///< number of random distributions
  std::uint32_t n_draws;  ///< number of draws whose tokens are counted
};

inline void PrintTo(const SampleBackend& backend, std::ostream* out) { *out << backend.name; }

class Sample : public testing::TestWithParam<SampleBackend> {
 protected:
  static Backend& backend() { return GetParam().open(); }
};

/// The checks with very many draws, which take minutes on a software driver.
class ManySamples : public Sample {};

}  // namespace bitaxon::test
