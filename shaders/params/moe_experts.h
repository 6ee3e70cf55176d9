// Constants shared by the shaders of the experts.
#ifndef BX_PARAMS_MOE_EXPERTS_H
#define BX_PARAMS_MOE_EXPERTS_H

// The largest number of experts, limited by shared memory that holds data for each of them.
#define BX_MOE_MAX_EXPERTS 512

#endif
