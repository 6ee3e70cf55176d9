#ifndef BX_PARAMS_COPY_COLUMNS_H
#define BX_PARAMS_COPY_COLUMNS_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct CopyColumnsPush {
  uint n_cols;
  uint x_width;
  uint x_first;  // the first column that is read
};

// Specialization constant.
#define BX_COPY_COLUMNS_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
