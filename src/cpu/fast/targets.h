// Which instruction sets the fast kernels can use here.
#pragma once

#include <string>
#include <vector>

#include "cpu/fast/product.h"

namespace bitaxon::cpu {

/// The products of the best instruction set; nullptr on a machine without vectors.
const ProductKernels* fast_products();

/// Names of the instruction sets that this machine has kernels for, best first.
std::vector<std::string> simd_targets();
/// For tests: as if `name`, one of simd_targets(), were the best; "" for what is. Of no effect on
/// backends that are open, and not to be called while one works.
void use_simd_target(const std::string& name);

}  // namespace bitaxon::cpu
