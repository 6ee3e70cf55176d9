// The ops that the Vulkan backend refuses, because they have no shaders yet. Tests of the backend
// leave them out.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "support/op_case_params.h"

namespace bitaxon::test {

inline constexpr std::array<std::string_view, 0> kOpsWithoutShaders = {};

inline bool has_shaders(std::string_view op) {
  return std::ranges::find(kOpsWithoutShaders, op) == kOpsWithoutShaders.end();
}

/// named_cases() of the ops that have shaders.
inline std::vector<NamedCase> shader_cases(unsigned some = kPlain, unsigned without = kPlain) {
  std::vector<NamedCase> cases = named_cases(some, without);
  std::erase_if(cases, [](const NamedCase& named) { return !has_shaders(named.op); });
  return cases;
}

}  // namespace bitaxon::test
