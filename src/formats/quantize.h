// Quantizes weights to the layouts of MLX (2 to 8 bits) and bitsandbytes (NF4). weight_format.h
// describes the layouts.
//
// Sources: docs/model.md ("Stored formats"). affine gives the same bits as MLX's `mx.quantize`
// (float32 arithmetic). nf4 has the layout of bitsandbytes' checkpoints.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "formats/weight_format.h"
#include "formats/weight_source.h"

namespace bitaxon {

/// How to quantize matrices.
struct Quantization {
  WeightFormat format = WeightFormat::affine;  ///< affine, or codebook for NF4
  std::int64_t group_size = 64;                ///< 32, 64 or 128; the block size of nf4
  bool nested = false;  ///< nf4: store each absmax in 8 bits ("double quantization")
  int bits = 4;         ///< affine: 2, 3, 4, 5, 6 or 8
};

/// The format that users call "nf4" or "mlx". Throws Error(invalid_argument) for any other name.
WeightFormat four_bit_format(std::string_view name);

/// Throws Error(invalid_argument) if the group size or the bits are none of those above.
void check_quantization(const Quantization& how);

/// Whether the rows of this weight divide into whole groups. Other weights are not quantized.
bool can_quantize(const WeightDesc& desc, const Quantization& how);

/// The description of a dense weight after quantization, without nested_offset, which is known only
/// after the numbers were read. Throws Error(invalid_argument) for a weight that is not dense or
/// whose rows do not divide into groups.
WeightDesc quantized_desc(const WeightDesc& dense, const Quantization& how);

/// The 256 values that a doubly quantized absmax can have, relative to the largest value of its
/// block.
/// Source: Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization" (dynamic tree
/// quantization, signed); the values that bitsandbytes stores.
std::vector<float> nested_quant_map();

/// Quantizes one weight that arrives in pieces, so that the whole weight need not be in memory.
class Quantizer {
 public:
  /// The result goes into `into`, whose storage is reused. Throws as quantized_desc() does.
  Quantizer(const WeightDesc& dense, const Quantization& how, LoadedWeight& into);
  /// Adds the next elements in row-major order, a whole number of groups. Throws Error(format) for
  /// a number that is not finite; the message names the tensor and the element.
  void add(std::span<const float> values);
  /// Call this after all elements were added. Completes the parts and the description.
  const WeightDesc& finish();

 private:
  void add_affine(std::span<const float> group);
  void add_nf4(std::span<const float> block);
  void nest_scales();

  WeightDesc desc_;
  WritableParts parts_;
  std::int64_t done_ = 0;           ///< number of elements added so far
  std::vector<float> absmax_ = {};  ///< used if nested: the absmax of each block as a float
};

/// Reads elements [first, first + out.size()) of a weight, row-major, into `out`.
using ReadElements = std::function<void(std::int64_t first, std::span<float> out)>;

/// The number of rows in a piece of a weight. Weights are read, quantized and written in pieces of
/// a few MiB.
std::int64_t rows_of_piece(const WeightDesc& desc);

/// Quantizes a weight piece by piece. `read` reads the pieces, which have whole rows.
WeightDesc quantize(const WeightDesc& dense, const Quantization& how, const ReadElements& read,
                    LoadedWeight& into);

}  // namespace bitaxon
