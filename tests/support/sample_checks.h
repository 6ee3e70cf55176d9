// A test suite for the sample op. A test program lists sample_checks.cpp among its sources and
// instantiates the suite for its backends.
#pragma once

#include <gtest/gtest.h>

#include <ostream>

#include "core/backend.h"

namespace bitaxon::test {

struct SampleBackend {
  const char* name;
  Backend& (*open)();
  int n_rounds;           ///< number of random steps to compare
  std::uint32_t n_draws;  ///< number of draws for the chi-square statistic
};

inline void PrintTo(const SampleBackend& backend, std::ostream* out) { *out << backend.name; }

class Sample : public testing::TestWithParam<SampleBackend> {
 protected:
  static Backend& backend() { return GetParam().open(); }
};

/// Checks that draw many times. They take minutes on a software driver.
class ManySamples : public Sample {};

}  // namespace bitaxon::test
