// Cases that an op and its gradient share.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cases/op_case.h"

namespace bitaxon::test {

/// A spec is a struct that says what a case is made of.
template <class Spec>
struct NamedSpec {
  std::string label;
  unsigned tags = kPlain;
  Spec spec;
};

/// The cases of an op. `build` takes a problem and a spec.
template <class Spec, class Build>
std::vector<OpCase> cases_of(const std::vector<NamedSpec<Spec>>& specs, double tolerance,
                             const std::string& reason, const Build& build) {
  std::vector<OpCase> cases;
  for (const NamedSpec<Spec>& named : specs) {
    OpCase& made = cases.emplace_back();
    made.label = named.label;
    made.tags = named.tags;
    made.tolerance.relative = tolerance;
    made.tolerance.reason = reason;
    if constexpr (requires { named.spec.outside_table; })
      made.tolerance.nan_expected = named.spec.outside_table;
    made.build = [build, spec = named.spec](OpProblem& p) { build(p, spec); };
  }
  return cases;
}

}  // namespace bitaxon::test
