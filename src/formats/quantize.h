// Weights to four bits, in the two layouts that are read (weight_format.h).
//
// Sources: MODEL.md's "4-bit layouts"; affine4 to the bit as MLX's `mx.quantize` (float32
// arithmetic), nf4 in the layout of bitsandbytes' checkpoints.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "formats/weight_format.h"
#include "formats/weight_source.h"

namespace bitaxon {

/// How matrices become four bits.
struct Quantization {
  WeightFormat format = WeightFormat::affine4;  ///< affine4 or nf4
  std::int64_t group_size = 64;                 ///< 32, 64 or 128; nf4: elements of a block
  bool nested = false;  ///< nf4: the absmax become 8 bits ("double quantization")
};

/// The format that users call "nf4" or "mlx". Throws Error(invalid_argument) for another name.
WeightFormat four_bit_format(std::string_view name);

/// Whether rows of this weight divide into whole groups. What does not stays as it is.
bool can_quantize(const WeightDesc& desc, const Quantization& how);

/// The description of a dense weight once it is quantized. Its nested_offset is known only when the
/// numbers are. Throws Error(invalid_argument) for a weight that is not dense or does not divide.
WeightDesc quantized_desc(const WeightDesc& dense, const Quantization& how);

/// The 256 values that a doubly quantized absmax can have, relative to its block's largest.
/// Source: Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization" (dynamic tree
/// quantization, signed); the values that bitsandbytes stores.
std::vector<float> nested_quant_map();

/// Quantizes one weight, which arrives in pieces, so that it need not be in memory as a whole.
class Quantizer {
 public:
  /// Writes into `into`, whose storage is used again; `dense` as in quantized_desc.
  Quantizer(const WeightDesc& dense, const Quantization& how, LoadedWeight& into);
  /// The next elements in row-major order, a whole number of groups. Throws Error(format) that
  /// names the tensor and the element for a number that is not finite.
  void add(std::span<const float> values);
  /// Once all elements were added: completes the parts, and the description.
  const WeightDesc& finish();

 private:
  void add_affine4(std::span<const float> group);
  void add_nf4(std::span<const float> block);
  void nest_scales();

  WeightDesc desc_;
  WritableParts parts_;
  std::int64_t done_ = 0;           ///< elements
  std::vector<float> absmax_ = {};  ///< nested: before they are coded
};

/// Puts elements [first, first + out.size()) of a weight, row-major, into `out`.
using ReadElements = std::function<void(std::int64_t first, std::span<float> out)>;

/// Rows of a piece in which weights are read, quantized, written: of a few MiB.
std::int64_t rows_of_piece(const WeightDesc& desc);

/// Quantizes a weight that `read` reads piece by piece, whole rows each.
WeightDesc quantize(const WeightDesc& dense, const Quantization& how, const ReadElements& read,
                    LoadedWeight& into);

}  // namespace bitaxon
