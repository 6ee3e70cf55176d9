#ifndef BX_PARAMS_COLUMNS_H
#define BX_PARAMS_COLUMNS_H

// What is known about the columns of a product in tiles.
#define BX_COLUMNS_ANY 0u
#define BX_COLUMNS_QUADS 1u  // rows of x are whole vec4s, and so are the columns of the weight
#define BX_COLUMNS_FULL 2u   // besides, the columns are a multiple of 32, so that all slices are full

#endif
