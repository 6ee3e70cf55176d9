// Products of weight tiles with rows of activations. Decode and prefill spend most of their time on
// these products. This header has only plain structures, because files with their own instruction
// sets include it.
#pragma once

#include <stdint.h>

namespace bitaxon::cpu {

enum class ScaleType { f32, f16, bf16 };

/// One tile of a 4-bit weight.
struct CodedTile {
  const unsigned char* data;  ///< aligned to 64
  const int16_t* table;       ///< the 16 integers that stand for NF4 codes; nullptr for affine
  float table_scale;          ///< for NF4, quant_map[c] is about table[c] * table_scale; else 1
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
  /// The product of a 4-bit tile with float rows. The result has the same bits as that of `decode`
  /// followed by `dense`, but no decoded tile is stored.
  void (*coded_exact)(const CodedTile& tile, const float* quant_map, const float* const* rows,
                      int n, float* out);
  /// Decodes a 4-bit tile: panel [cols][16]. quant_map: f32 [16] for NF4, nullptr for affine.
  void (*decode)(const CodedTile& tile, const float* quant_map, float* panel);
};

}  // namespace bitaxon::cpu
