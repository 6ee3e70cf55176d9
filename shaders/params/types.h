// The types of parameter blocks, in C++ and in GLSL. They contain only 4-byte scalars and uvec2, so
// that with scalar layout both languages agree on every offset.
#ifndef BX_PARAMS_TYPES_H
#define BX_PARAMS_TYPES_H

#ifdef __cplusplus
#include <cstdint>
namespace bitaxon::vulkan {
using uint = std::uint32_t;
struct uvec2 {
  uint x = 0, y = 0;
};
#endif

// The address of a packed weight. The weight has up to three parts in one buffer: first elements or
// codes, then scales (affine: each scale with its bias), then the tables of a codebook. Each part
// begins at a multiple of 16 bytes.
struct WeightAddress {
  uvec2 data;   // address, low word first
  uint scales;  // offset from data, in units of 16 bytes
  uint tables;
};

// The form of a weight: a number that says how to read its bytes. Shaders get it as a
// specialization constant, so that branches on it are removed at compile time.
//   bits 0..2    format: BX_F32, ...
//   bits 3..4    affine: dtype of the scales and of the biases: BX_F32, BX_F16, BX_BF16
//   bit  7       codebook: scales are coded in 8 bits
//   bit  8       rows begin at multiples of 16 bytes (4-bit codes: 32 codes), no run of 16 codes
//                straddles two scales, and no scale of an affine weight belongs to two rows
//   bits 9..31   codes per scale
#define BX_F32 0u
#define BX_F16 1u
#define BX_BF16 2u
#define BX_Q4 3u   // affine codes of 4 bits
#define BX_NF4 4u  // 4-bit codes and a codebook
#define BX_Q8 5u   // affine codes of 8 bits
#define BX_FORM_ABSENT 7u

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif

#endif
