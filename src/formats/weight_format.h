// The stored formats of a weight matrix (or a stack of expert matrices), and how to decode them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "bitaxon/dtype.h"
#include "bitaxon/shape.h"

namespace bitaxon {

enum class WeightFormat : std::uint8_t { dense, affine4, nf4 };

/// Describes a stored weight [n_matrices, rows, cols], row-major. n_matrices is 1 except for stacks
/// of experts. Vectors have rows == 1.
struct WeightDesc {
  std::string name;
  WeightFormat format = WeightFormat::dense;
  std::int64_t n_matrices = 1;
  std::int64_t rows = 1;
  std::int64_t cols = 1;
  /// The type of the elements. For affine4, the type of the scales. For nf4, the type of the weight
  /// before quantization.
  DType dtype = DType::f32;
  DType bias_dtype = DType::f32;  ///< affine4: type of the biases
  std::int64_t group_size = 0;    ///< affine4: codes per scale. nf4: codes per absmax
  bool nested = false;            ///< nf4: absmax is quantized to 8 bits ("double quantization")
  std::int64_t nested_group_size = 0;
  float nested_offset = 0;

  std::int64_t elements() const { return n_matrices * rows * cols; }
  /// Stored bytes of all parts.
  std::uint64_t stored_bytes() const;
  /// The format as a short name: "f16", "q4_affine_g64", "nf4_g64", "nf4_g64_nested".
  std::string format_name() const;
};

/// `shape` with its last extent replaced. The rank of `shape` must not be 0.
Shape with_last(const Shape& shape, std::int64_t extent);

/// The stored bytes of each part, at any alignment. Parts that a format lacks are empty.
struct WeightParts {
  std::span<const std::byte> data = {};           ///< elements or codes
  std::span<const std::byte> scales = {};         ///< affine4: scales. nf4: absmax (f32, nested u8)
  std::span<const std::byte> biases = {};         ///< affine4: biases
  std::span<const std::byte> quant_map = {};      ///< nf4: f32 [16]
  std::span<const std::byte> nested_scales = {};  ///< nf4 nested: f32 nested_absmax
  std::span<const std::byte> nested_quant_map = {};  ///< nf4 nested: f32 [256]
};

/// The size of each part in bytes.
struct PartBytes {
  std::uint64_t data = 0, scales = 0, biases = 0, quant_map = 0, nested_scales = 0,
                nested_quant_map = 0;
};
PartBytes part_bytes(const WeightDesc& desc);

/// Decodes elements [first, first + out.size()) of the flattened weight (row-major) to float32. The
/// value of a dense element is exact. The value of an affine4 element is scale * code + bias,
/// rounded once. The value of an nf4 element is quant_map[code] * absmax, in float32. Has no side
/// effects except in `out`, is thread-safe and does not allocate memory.
void decode(const WeightDesc& desc, const WeightParts& parts, std::int64_t first,
            std::span<float> out);

}  // namespace bitaxon
