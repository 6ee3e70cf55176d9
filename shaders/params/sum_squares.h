// Parameters of sum_squares, which adds blocks, and of sum_squares_end, which adds the sums of blocks.
#ifndef BX_PARAMS_SUM_SQUARES_H
#define BX_PARAMS_SUM_SQUARES_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct SumSquaresPush {
  uint n;  // the number of elements, or of sums
  uint first;  // the place of the first sum of SUM_SQUARES
};

// The elements that one workgroup adds.
#define BX_SUM_SQUARES_BLOCK 8192u

// Specialization constants.
#define BX_SUM_SQUARES_GROUP_SIZE 0

// Specialization constant of sum_squares_end.
#define BX_SUM_SQUARES_END_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
