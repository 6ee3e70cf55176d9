#ifndef BX_PARAMS_MULTIPLY_MATRIX_H
#define BX_PARAMS_MULTIPLY_MATRIX_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct MultiplyMatrixPush {
  uint n_rounds;
};

// The number of chains per subgroup. A round adds one product of matrices to each chain.
#define BX_MULTIPLY_MATRIX_CHAINS 4

// Specialization constants.
#define BX_MULTIPLY_MATRIX_GROUP_SIZE 0
#define BX_MULTIPLY_MATRIX_M 1  // the shape of the products: M by K times K by N
#define BX_MULTIPLY_MATRIX_N 2
#define BX_MULTIPLY_MATRIX_K 3

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
