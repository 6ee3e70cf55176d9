// The choice that all kernels of shaders/lib/mat_vec.glsl share.
#pragma once

#include <initializer_list>

#include "shaders/params/mat_vec.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

/// How the products of one launch make numbers of codes.
struct CodesChoice {
  std::uint32_t codes = BX_CODES_AS_BYTES;  ///< the constant of the shader
  bool dots = false;                        ///< whether the launch needs the shader "..._dots"
  std::uint32_t group = 0;                  ///< threads of a workgroup
};

/// How products without integer dots make floats of codes of 4 bits. On AMD's RDNA 2, the main loop
/// of one row takes 2.8 vector instructions per weight as bytes, 2.6 as halves and 2.2 as large
/// halves. Without mixed products, halves take 3.8 and more. Large halves are less accurate by a
/// factor of 100, which is a tenth of what fast precision allows.
std::uint32_t codes_of_products(const DeviceCaps& caps, Precision precision);

/// The choice for a launch that multiplies `n_rows` rows by weights of these forms. Absent weights do
/// not count. With integer dots, the main loop of one row takes 1.5 vector instructions per weight
/// on RDNA 2 (codes of 8 bits: 1.8), 1.8 on NVIDIA's Turing and on Intel's Arc, and a fifth less with
/// the two limbs of fast precision.
CodesChoice codes_of_launch(const DeviceCaps& caps, Precision precision,
                            std::initializer_list<std::uint32_t> forms, std::uint32_t n_rows = 1);

}  // namespace bitaxon::vulkan
