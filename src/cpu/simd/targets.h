// The instruction sets that the vectorized kernels can use on this machine.
#pragma once

#include <string>
#include <vector>

#include "cpu/simd/product.h"

namespace bitaxon::cpu {

/// The products of the best instruction set; nullptr on a machine without vectors.
const ProductKernels* simd_products();

/// The instruction sets that this machine supports and that have kernels, best first.
std::vector<std::string> simd_targets();
/// For tests: makes `name`, one of simd_targets(), the best instruction set; "" restores the real
/// one. Open backends keep their products. Must not be called while a backend works.
void use_simd_target(const std::string& name);

}  // namespace bitaxon::cpu
