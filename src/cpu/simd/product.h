// Products of weight tiles with rows of activations. Decode and prefill spend most of their time on
// these products. This header has only plain structures, because files with their own instruction
// sets include it.
#pragma once

#include <stdint.h>

namespace bitaxon::cpu {

/// The types of scales, and of dense weights. e8m0 and e4m3 are floats of 8 bits (formats/float8.h),
/// which only the scales of codebooks have.
enum class ScaleType { f32, f16, bf16, e8m0, e4m3 };

/// The kinds of codes.
enum class Codes {
  nibbles,  ///< 4 bits; a weight is scale * code + bias
  bytes,    ///< 8 bits; a weight is (scale * code + bias) * factor
  table     ///< 4 bits; a weight is quant_map[code] * (scale * factor)
};

/// One tile of a weight with codes. tiles.h describes the layout.
struct CodedTile {
  Codes codes;
  const unsigned char* data;    ///< the codes of the first group; aligned to 64
  const unsigned char* scales;  ///< the scales of the first group
  int64_t data_stride;          ///< bytes from the codes of a group to those of the next group
  int64_t scale_stride;
  const int16_t* table;  ///< the 16 integers that stand for the codes of a table; else nullptr
  float table_scale;     ///< quant_map[c] is about table[c] * table_scale; 1 without a table
  float factor;
  ScaleType scale_type;
  int64_t cols;
  int64_t group;
  int64_t block;  ///< the block size of the coded rows; divides `group`
};

/// A row of activations as 16-bit integers: x[c] is q[c] * scales[c / block].
struct CodedRow {
  const int16_t* q;
  const float* scales;
  const float* sums;  ///< for each block, the sum of q[c] * scales[c / block]
};

/// One tile of a dense weight.
struct DenseTile {
  const unsigned char* data;
  ScaleType type;
  int64_t cols;
};

/// The kernels of one instruction set. A call computes out[i][r] = sum_c w[r, c] * x_i[c] for at
/// most max_rows rows x_i. The bits of out[i] do not depend on the other rows.
/// out  [n][16]
struct ProductKernels {
  int max_rows;
  void (*coded)(const CodedTile& tile, const CodedRow* rows, int n, float* out);
  void (*dense)(const DenseTile& tile, const float* const* rows, int n, float* out);
  /// The product of a tile with codes and float rows. The result has the same bits as that of `decode`
  /// followed by `dense`, but no decoded tile is stored.
  void (*coded_exact)(const CodedTile& tile, const float* quant_map, const float* const* rows,
                      int n, float* out);
  /// Decodes a tile: panel [cols][16]. quant_map: f32 [16] for a table, else nullptr.
  void (*decode)(const CodedTile& tile, const float* quant_map, float* panel);
};

}  // namespace bitaxon::cpu
