// The product kernels for AVX-512 with VNNI.
#pragma once

#include "cpu/simd/product.h"

namespace bitaxon::cpu::vnni {

extern const ProductKernels kProducts;

}  // namespace bitaxon::cpu::vnni
