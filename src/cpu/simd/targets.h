// The instruction sets that the vectorized kernels can use on this machine.
#pragma once

#include <string>
#include <vector>

#include "cpu/simd/product.h"

namespace bitaxon::cpu {

/// The product kernels of the best instruction set; nullptr on a machine without vectors.
const ProductKernels* simd_products();

/// The names of the instruction sets that have kernels and that this machine supports, best first.
std::vector<std::string> simd_targets();
/// Makes `name`, one of simd_targets(), the best instruction set. "" restores the real best one.
/// For tests. Open backends keep their product kernels. Must not be called while a backend runs a
/// step.
void use_simd_target(const std::string& name);

}  // namespace bitaxon::cpu
