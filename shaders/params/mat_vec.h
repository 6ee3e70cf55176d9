// How the products of lib/mat_vec.glsl make floats of codes of 4 bits.
#ifndef BX_PARAMS_MAT_VEC_H
#define BX_PARAMS_MAT_VEC_H

// Affine codes become bytes and then floats. Codebooks are in shared memory.
#define BX_CODES_AS_BYTES 0
// On devices with mixed products, affine codes become halves: exact.
#define BX_CODES_AS_HALVES 1
// The same with fewer instructions, and a larger error.
#define BX_CODES_AS_LARGE_HALVES 2
// On CPUs, the values of a codebook are in the lanes of a subgroup. A CPU reads from shared memory
// for one lane at a time, but moves values between lanes within one instruction.
#define BX_CODES_IN_LANES 3
// Integer dot products (lib/mat_vec_dots.glsl): x is cut into three limbs of 8 bits: exact.
#define BX_CODES_AS_THREE_LIMBS 4
// The same with two limbs: fewer instructions, and a larger error.
#define BX_CODES_AS_TWO_LIMBS 5

#endif
