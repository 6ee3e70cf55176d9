// Adds up arrays of p numbers that the workgroups of a launch have computed, one array each. The last
// workgroup of a team adds up the arrays of the team, and the last team those of all teams. So the
// order of each sum is fixed, and no workgroup reads many arrays.
//
// The including shader declares `coherent buffer Sums { float sums[]; }`, [workgroups + teams, p], and
// what lib/last_group.glsl needs, with a counter for each team and one more.
#ifndef BX_TEAM_SUMS_GLSL
#define BX_TEAM_SUMS_GLSL

#include "lib/last_group.glsl"
#include "params/team_sums.h"

float sum_of_arrays(const uint first, const uint n, const uint p, const uint i) {
  float sum = 0.0;
  for (uint k = first; k < first + n; ++k) sum += sums[k * p + i];
  return sum;
}

// Workgroups 0 to n_groups - 1 call this function with their number, after they have written array
// number `group`, in uniform control flow. Returns true in the workgroup that has all sums: they are
// the sums of n_of_all arrays from first_of_all on.
bool have_team_sums(const uint group, const uint n_groups, const uint p, out uint first_of_all,
                    out uint n_of_all) {
  const uint n_teams = (n_groups + BX_TEAM - 1) / BX_TEAM;
  const uint team = group / BX_TEAM;
  const uint first = team * BX_TEAM;
  const uint n = min(BX_TEAM, n_groups - first);
  first_of_all = n_groups;
  n_of_all = n_teams;
  if (!is_last_group(team, n)) return false;
  for (uint i = gl_LocalInvocationIndex; i < p; i += gl_WorkGroupSize.x)
    sums[(n_groups + team) * p + i] = sum_of_arrays(first, n, p, i);
  return is_last_group(n_teams, n_teams);
}

#endif
