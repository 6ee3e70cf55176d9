#ifndef BX_PARAMS_TEAM_SUMS_H
#define BX_PARAMS_TEAM_SUMS_H

// The number of workgroups in a team: see lib/team_sums.glsl.
#define BX_TEAM 16

#endif
