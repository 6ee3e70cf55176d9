// Constants that several shaders of the mixture of experts share.
#ifndef BX_PARAMS_MOE_EXPERTS_H
#define BX_PARAMS_MOE_EXPERTS_H

// The largest number of experts. Shared memory limits it, because shaders keep data of every expert
// there.
#define BX_MOE_MAX_EXPERTS 512

#endif
