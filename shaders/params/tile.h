// The shape of lib/tile.glsl's tiles, for shaders and for what sizes their grids.
#ifndef BX_PARAMS_TILE_H
#define BX_PARAMS_TILE_H

// Invocations of a work group: 8 down the argument's rows by 16 across the weight's.
#define BX_TILE_GROUP 128
#define BX_TILE_LANES_DOWN 8
#define BX_TILE_LANES_ACROSS 16
// Weight rows of a tile, one for each invocation to load.
#define BX_TILE_OUTS 128

#endif
