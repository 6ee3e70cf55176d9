#ifndef BX_PARAMS_PRODUCT_TILE_H
#define BX_PARAMS_PRODUCT_TILE_H
#include "params/columns.h"
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct ProductTilePush {
  WeightAddress weight;
  WeightAddress bias;  // float32, when HAS_BIAS
  uint weight_row;     // the row of the weight, and the element of the bias, that gives output 0
  uint first_out;   // computes outputs [first_out, end_out) of n_out
  uint end_out;
  uint n_out;
  uint n_cols;
  uint x_width;    // the number of columns of x; the first n_cols are read
  uint first_row;  // computes the valid rows of the result in [first_row, end_row); row first_row
  uint end_row;    // is the first row in the bindings of residual and result
};

// Specialization constants.
#define BX_PRODUCT_TILE_GROUP_SIZE 0  // also the number of outputs of a tile
#define BX_PRODUCT_TILE_FORM 1
#define BX_PRODUCT_TILE_OTHER 2   // see params/product_end.h
#define BX_PRODUCT_TILE_SOURCE 3  // see params/product_rows.h
#define BX_PRODUCT_TILE_ROWS 4    // the number of rows of a tile
#define BX_PRODUCT_TILE_HAS_BIAS 5
#define BX_PRODUCT_TILE_COLUMNS 6  // see params/columns.h

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
