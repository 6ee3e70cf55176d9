// silu(v) = v / (1 + exp(-v)): 0 where exp(-v) overflows, NaN of NaN.
#ifndef BX_SILU_GLSL
#define BX_SILU_GLSL

float silu(float v) { return v / (1.0 + exp(-v)); }

#endif
