// The memory of lib/team_sums.glsl: arrays of numbers that the workgroups of a launch add up.
#pragma once

#include <cstdint>

#include "shaders/params/team_sums.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

struct TeamSums {
  std::int64_t n_teams = 0;
  ScratchPlan::Block sums;  ///< [workgroups + teams, n_numbers]

  TeamSums(ScratchPlan& scratch, std::int64_t n_groups, std::int64_t n_numbers)
      : n_teams(divide_up(n_groups, BX_TEAM)),
        sums(scratch.take((n_groups + n_teams) * n_numbers)) {}
  std::int64_t n_counters() const { return n_teams + 1; }
};

}  // namespace bitaxon::vulkan
