// The op cases as parameters of a test.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "cases/op_harness.h"

namespace bitaxon::test {

struct NamedCase {
  std::string_view op;
  const OpCase* op_case;
};

inline void PrintTo(const NamedCase& named, std::ostream* out) {
  *out << named.op << "/" << named.op_case->label;
}

/// The cases of every op that have at least one of the tags `some` and none of the tags `without`.
/// If `some` is kPlain, a case needs no particular tag.
inline std::vector<NamedCase> named_cases(unsigned some = kPlain, unsigned without = kPlain) {
  std::vector<NamedCase> named;
  for (const OpCases& cases : every_op_case())
    for (const OpCase& op_case : cases.cases)
      if ((some == kPlain || (op_case.tags & some) != 0) && (op_case.tags & without) == 0)
        named.push_back({cases.op, &op_case});
  return named;
}

inline std::string test_name(const testing::TestParamInfo<NamedCase>& info) {
  return fmt::format("{}_{}", info.param.op, info.param.op_case->label);
}

/// Reports each violation of the run as a failure of the test.
inline void expect_clean(const OpRun& run, const std::string& who) {
  for (const std::string& violation : run.violations) ADD_FAILURE() << who << ": " << violation;
}

/// Reports each violation of the run, and each difference from what is expected, as a failure of the
/// test.
inline void expect_agreement(const OpRun& run, const OpRun& expected, const Tolerance& tolerance,
                             const std::string& who) {
  expect_clean(run, who);
  for (const std::string& difference : differences(run, expected, tolerance))
    ADD_FAILURE() << who << ": " << difference;
}

}  // namespace bitaxon::test
