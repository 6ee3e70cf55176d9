// What the shaders of the experts agree on.
#ifndef BX_PARAMS_MOE_EXPERTS_H
#define BX_PARAMS_MOE_EXPERTS_H

// The most experts: what is kept of each lies in shared memory.
#define BX_MOE_MAX_EXPERTS 512

#endif
