// Specialization constants of all shaders that include lib/matrix_tile.glsl. A tile is divided among
// the subgroups of a workgroup, and the part of a subgroup consists of fragments of M by N elements.
#ifndef BX_PARAMS_MATRIX_TILE_H
#define BX_PARAMS_MATRIX_TILE_H

#define BX_MATRIX_GROUP_SIZE 0
#define BX_MATRIX_M 20          // the shape of the products of matrix units: M by K times K by N
#define BX_MATRIX_N 21
#define BX_MATRIX_K 22
#define BX_MATRIX_ROWS 23       // argument rows of a tile
#define BX_MATRIX_OUTS 24       // rows of the weight of a tile
#define BX_MATRIX_SUBGROUPS 25  // subgroups of a workgroup
#define BX_MATRIX_ACROSS 26     // subgroups that share the same argument rows
#define BX_MATRIX_COLUMNS 27    // what is known about the columns, one of the values below

// Columns of a slice of both factors.
#define BX_MATRIX_DEPTH 32u
// The length of a row of a slice, in units of 16 bytes.
#define BX_MATRIX_STRIDE 5u

#endif
