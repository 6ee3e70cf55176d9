// The checks of the sample op as a suite that a test program instantiates for its backends; it
// lists sample_checks.cpp among its sources.
#pragma once

#include <gtest/gtest.h>

#include <ostream>

#include "bitaxon/backend.h"

namespace bitaxon::test {

struct SampleBackend {
  const char* name;
  Backend& (*open)();
  int n_rounds;           ///< random distributions
  std::uint32_t n_draws;  ///< to count how often each token comes
};

inline void PrintTo(const SampleBackend& backend, std::ostream* out) { *out << backend.name; }

class Sample : public testing::TestWithParam<SampleBackend> {
 protected:
  static Backend& backend() { return GetParam().open(); }
};

/// Those that draw very often, which takes a GPU's software driver minutes.
class ManySamples : public Sample {};

}  // namespace bitaxon::test
