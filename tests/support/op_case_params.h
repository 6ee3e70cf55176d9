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

/// Every case of every op.
inline std::vector<NamedCase> named_cases() {
  std::vector<NamedCase> all;
  for (const OpCases& cases : every_op_case())
    for (const OpCase& op_case : cases.cases) all.push_back({cases.op, &op_case});
  return all;
}

inline std::string test_name(const testing::TestParamInfo<NamedCase>& info) {
  return fmt::format("{}_{}", info.param.op, info.param.op_case->label);
}

/// The run touched only what it may.
inline void expect_clean(const OpRun& run, const std::string& who) {
  for (const std::string& violation : run.violations) ADD_FAILURE() << who << ": " << violation;
}

}  // namespace bitaxon::test
