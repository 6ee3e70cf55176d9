// Products of weight tiles with rows of activations: what decoding and prefill spend their time in.
// Plain structures only: files with instruction sets of their own include this.
#pragma once

#include <stdint.h>

namespace bitaxon::cpu {

enum class ScaleType { f32, f16, bf16 };

/// One tile of a 4-bit weight.
struct CodedTile {
  const unsigned char* data;  ///< aligned to 64
  const int16_t* table;       ///< NF4: what each code is multiplied as [16]; affine: nullptr
  float table_scale;          ///< NF4: quant_map[c] is table[c] * table_scale; affine: 1
  ScaleType scale_type;
  int64_t cols;
  int64_t group;
  int64_t block;  ///< of the rows; divides group
};

/// A row of activations as 16-bit integers: x[c] is q[c] * scales[c / block].
struct CodedRow {
  const int16_t* q;
  const float* scales;
  const float* sums;  ///< of each block's x, as coded
};

/// One tile of numbers.
struct DenseTile {
  const unsigned char* data;
  ScaleType type;
  int64_t cols;
};

/// The kernels of one instruction set. A call computes out[i][r] = sum_c w[r, c] * x_i[c] for at
/// most max_rows rows x_i; every out depends on its own x_i alone, to the bit.
/// out  [n][16]
struct ProductKernels {
  int max_rows;
  void (*coded)(const CodedTile& tile, const CodedRow* rows, int n, float* out);
  void (*dense)(const DenseTile& tile, const float* const* rows, int n, float* out);
  /// As `dense` of the tile that `decode` makes, to the bit, without making it.
  void (*coded_exact)(const CodedTile& tile, const float* quant_map, const float* const* rows,
                      int n, float* out);
  /// Decodes a 4-bit tile: panel [cols][16]. quant_map: f32 [16] for NF4, nullptr for affine.
  void (*decode)(const CodedTile& tile, const float* quant_map, float* panel);
};

}  // namespace bitaxon::cpu
