// The stored formats of a weight matrix (or a stack of expert matrices), and how to decode them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "bitaxon/dtype.h"
#include "bitaxon/shape.h"

namespace bitaxon {

enum class WeightFormat : std::uint8_t {
  dense,     ///< floats
  affine,    ///< codes of 2 to 8 bits, with a scale and a bias for each group
  codebook,  ///< codes of 4 bits, a table of 16 values, and a scale for each block
  mxfp8,     ///< codes that are E4M3 floats, and an E8M0 scale for each group of 32
  int8       ///< signed codes of 8 bits, and a scale for each row (bitsandbytes, LLM.int8)
};

/// The codebook formats. They differ in the table of values, in the type of the scales, and in the
/// order of the two codes in a byte.
enum class Codebook : std::uint8_t {
  nf4,    ///< bitsandbytes: the file has a table, normally NormalFloat; scales F32 or nested
  fp4,    ///< bitsandbytes: the file has a table, normally of 4-bit floats; scales F32 or nested
  mxfp4,  ///< E2M1 floats, E8M0 scales in groups of 32
  nvfp4   ///< E2M1 floats, E4M3 scales in groups of 16; nested: one F32 scale for each matrix
};

std::string_view name_of(Codebook codebook);

/// 1/127 as bitsandbytes rounds it. An int8 weight is code * scale * kInt8Factor.
inline constexpr float kInt8Factor = 1.0F / 127.0F;

/// Describes a stored weight [n_matrices, rows, cols], row-major. n_matrices is 1 except for stacks
/// of experts. Vectors have rows == 1.
struct WeightDesc {
  std::string name;
  WeightFormat format = WeightFormat::dense;
  std::int64_t n_matrices = 1;
  std::int64_t rows = 1;
  std::int64_t cols = 1;
  /// The type of the elements. For affine, the type of the scales. For other codes, the type of the
  /// weight before quantization.
  DType dtype = DType::f32;
  DType bias_dtype = DType::f32;  ///< affine: type of the biases
  std::int64_t group_size = 0;    ///< codes per scale
  bool nested = false;            ///< codebook: scales are products of 8-bit codes and F32 scales
  std::int64_t nested_group_size = 0;  ///< nested: blocks per F32 scale
  float nested_offset = 0;             ///< nested nf4 and fp4
  int bits = 4;                        ///< affine: bits of a code: 2, 3, 4, 5, 6 or 8
  float factor = 1;                    ///< affine: multiplies every value
  Codebook codebook = Codebook::nf4;   ///< codebook: which one

  std::int64_t elements() const { return n_matrices * rows * cols; }
  /// Stored bytes of all parts.
  std::uint64_t stored_bytes() const;
  /// The format as a short name: "f16", "q4_affine_g64", "nf4_g64", "nf4_g64_nested", "mxfp4_g32".
  std::string format_name() const;
};

/// `shape` with its last extent replaced. The rank of `shape` must not be 0.
Shape with_last(const Shape& shape, std::int64_t extent);

/// The stored bytes of each part, at any alignment. Parts that a format lacks are empty.
struct WeightParts {
  std::span<const std::byte> data = {};       ///< elements or codes
  std::span<const std::byte> scales = {};     ///< one for each group; for int8, F32 for each row
  std::span<const std::byte> biases = {};     ///< affine: one for each group
  std::span<const std::byte> quant_map = {};  ///< nf4, fp4: F32 [16]
  std::span<const std::byte> nested_scales = {};     ///< nested: F32
  std::span<const std::byte> nested_quant_map = {};  ///< nested nf4 and fp4: F32 [256]
};

/// The size of each part in bytes.
struct PartBytes {
  std::uint64_t data = 0, scales = 0, biases = 0, quant_map = 0, nested_scales = 0,
                nested_quant_map = 0;
};
PartBytes part_bytes(const WeightDesc& desc);

/// Whether the file has the table of a codebook (nf4, fp4). The tables of the other codebooks are
/// parts of their definitions. Files with tables have the first of two codes in the high half of a
/// byte, the others have it in the low half.
bool has_stored_table(const WeightDesc& desc);
/// The 16 values of a codebook.
std::array<float, 16> codebook_values(const WeightDesc& desc, const WeightParts& parts);
/// The factor of nested scales `index`: an F32 scale of the file, or for nvfp4 a stored scale / 2688.
float nested_scale(const WeightDesc& desc, const WeightParts& parts, std::int64_t index);
/// The scale of one block of a codebook format.
float block_scale(const WeightDesc& desc, const WeightParts& parts, std::int64_t block);

/// Decodes elements [first, first + out.size()) of the flattened weight (row-major) to float32.
///   dense     exact
///   affine    scale * code + bias, rounded once; then times factor, if that is not 1
///   codebook  table[code] * scale, in float32
///   mxfp8     exact within the range of float32
///   int8      code * scale, and then times 1/127, both in float32 as in bitsandbytes
/// Has no side effects except in `out`, is thread-safe and does not allocate memory.
void decode(const WeightDesc& desc, const WeightParts& parts, std::int64_t first,
            std::span<float> out);

}  // namespace bitaxon
