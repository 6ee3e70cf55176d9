// The product kernels, written with the vectors of the including namespace. That namespace must
// provide:
//   I32 and F32: vectors of kLanes lanes. Functions: zero_i, zero_f, splat, add, multiply,
//     multiply_add, to_float, store, load_u32, load_scales, prefetch, in_register (keeps a value
//     from being loaded again), dot (adds the products of 16-bit pairs)
//   Table: sixteen integers. Functions: load_table, weights<place> (two codes of each word as a
//     16-bit pair, or the values of these codes in the table)
//   Map: sixteen floats. Functions: load_map, look_up
//   code_at<shift>, kMaxRows
//   the function attributes BX_SIMD, BX_SIMD_KERNEL and BX_SIMD_LAMBDA

#include "cpu/simd/unrolled-inl.h"

template <int kRows, bool kTable>
BX_SIMD_KERNEL void coded_rows(const CodedTile& tile, const CodedRow* rows, float* out) {
  // With few rows, each row has several sums, so that additions do not wait for each other.
  constexpr int kSums = kRows >= 4 ? 1 : kRows >= 2 ? 2 : 4;
  const int64_t block = tile.block;
  const int64_t scale_bytes = tile.scale_type == ScaleType::f32 ? 4 : 2;
  const int64_t group_bytes = tile.group * 8 + (kTable ? 1 : 2) * 16 * scale_bytes;
  const Table table = load_table(kTable ? tile.table : nullptr);
  for (int part = 0; part < 16; part += kLanes) {
    F32 total[kRows];
    unrolled<kRows>([&](auto i) BX_SIMD_LAMBDA { total[i] = zero_f(); });
    const unsigned char* group = tile.data;
    int64_t at_block = 0;
    for (int64_t column = 0; column < tile.cols; column += tile.group, group += group_bytes) {
      const unsigned char* scales = group + tile.group * 8;
      const F32 scale = load_scales(scales + part * scale_bytes, tile.scale_type);
      const F32 bias =
          kTable ? zero_f() : load_scales(scales + (16 + part) * scale_bytes, tile.scale_type);
      const unsigned char* codes = group + part * 4;
      for (int64_t c = 0; c < tile.group; c += block, ++at_block) {
        I32 sums[kRows * kSums];
        unrolled<kRows * kSums>([&](auto i) BX_SIMD_LAMBDA { sums[i] = zero_i(); });
        for (int64_t chunk = 0; chunk < block; chunk += 8, codes += 64) {
          prefetch(codes);
          const I32 words = in_register(load_u32(codes));
          const int64_t at = column + c + chunk;
          unrolled<4>([&](auto j) BX_SIMD_LAMBDA {
            const I32 pair = weights<j, kTable>(words, table);
            unrolled<kRows>([&](auto i) BX_SIMD_LAMBDA {
              constexpr int kSum = i * kSums + j % kSums;
              sums[kSum] = dot(sums[kSum], pair, rows[i].q + at + 2 * j);
            });
          });
        }
        unrolled<kRows>([&](auto i) BX_SIMD_LAMBDA {
          I32 sum = sums[i * kSums];
          unrolled<kSums, 1>([&](auto s) BX_SIMD_LAMBDA { sum = add(sum, sums[i * kSums + s]); });
          const F32 x_scale = splat(rows[i].scales[at_block]);
          total[i] = multiply_add(multiply(to_float(sum), x_scale), scale, total[i]);
          if (!kTable) total[i] = multiply_add(splat(rows[i].sums[at_block]), bias, total[i]);
        });
      }
    }
    unrolled<kRows>([&](auto i) BX_SIMD_LAMBDA {
      store(kTable ? multiply(total[i], splat(tile.table_scale)) : total[i], out + i * 16 + part);
    });
  }
}

/// Decodes one column of a tile exactly. Each lane of `words` holds eight codes of one row.
/// `kPlace` is the column of the code among these eight.
template <int kPlace, bool kTable>
BX_SIMD F32 value_of(I32 words, const Map& map, F32 scale, F32 bias) {
  const I32 code = code_at<16 * (kPlace % 2) + 4 * (kPlace / 2)>(words);
  return kTable ? multiply(look_up(code, map), scale) : multiply_add(to_float(code), scale, bias);
}

/// Calls use(column, column % 8, weights) for each column of a tile. The argument column % 8 is a
/// compile-time constant.
template <bool kTable, class Use>
BX_SIMD void for_each_column(const CodedTile& tile, const float* quant_map, int part,
                             const Use& use) {
  const int64_t scale_bytes = tile.scale_type == ScaleType::f32 ? 4 : 2;
  const Map map = load_map(quant_map);
  const unsigned char* at = tile.data;
  for (int64_t column = 0; column < tile.cols; column += tile.group) {
    const unsigned char* scales = at + tile.group * 8;
    const F32 scale = load_scales(scales + part * scale_bytes, tile.scale_type);
    const F32 bias =
        kTable ? zero_f() : load_scales(scales + (16 + part) * scale_bytes, tile.scale_type);
    for (int64_t c = column; c < column + tile.group; c += 8, at += 64) {
      const I32 words = in_register(load_u32(at + part * 4));
      unrolled<8>([&](auto place) BX_SIMD_LAMBDA {
        use(c + place, place, value_of<place, kTable>(words, map, scale, bias));
      });
    }
    at += (kTable ? 1 : 2) * 16 * scale_bytes;
  }
}

template <int kRows, bool kTable>
BX_SIMD_KERNEL void coded_exact_rows(const CodedTile& tile, const float* quant_map,
                                     const float* const* rows, float* out) {
  for (int part = 0; part < 16; part += kLanes) {
    // Two sums per row, as in dense_rows(): one for even columns, one for odd columns.
    F32 sums[kRows * 2];
    unrolled<kRows * 2>([&](auto i) BX_SIMD_LAMBDA { sums[i] = zero_f(); });
    for_each_column<kTable>(tile, quant_map, part,
                            [&](int64_t c, auto place, F32 w) BX_SIMD_LAMBDA {
                              unrolled<kRows>([&](auto i) BX_SIMD_LAMBDA {
                                constexpr int kSum = i * 2 + place % 2;
                                sums[kSum] = multiply_add(w, splat(rows[i][c]), sums[kSum]);
                              });
                            });
    unrolled<kRows>([&](auto i) BX_SIMD_LAMBDA {
      store(add(sums[i * 2], sums[i * 2 + 1]), out + i * 16 + part);
    });
  }
}

template <int kRows, ScaleType kType>
BX_SIMD_KERNEL void dense_rows(const DenseTile& tile, const float* const* rows, float* out) {
  // Each row has two sums, for every number of rows. The order of additions determines the last
  // bits of the result, so it must not depend on the number of rows.
  constexpr int kSums = 2;
  constexpr int64_t kBytes = kType == ScaleType::f32 ? 4 : 2;
  for (int part = 0; part < 16; part += kLanes) {
    F32 sums[kRows * kSums];
    unrolled<kRows * kSums>([&](auto i) BX_SIMD_LAMBDA { sums[i] = zero_f(); });
    const unsigned char* from = tile.data + part * kBytes;
    int64_t c = 0;
    for (; c + kSums <= tile.cols; c += kSums)
      unrolled<kSums>([&](auto s) BX_SIMD_LAMBDA {
        prefetch(from);
        const F32 w = load_scales(from, kType);
        from += 16 * kBytes;
        unrolled<kRows>([&](auto i) BX_SIMD_LAMBDA {
          sums[i * kSums + s] = multiply_add(w, splat(rows[i][c + s]), sums[i * kSums + s]);
        });
      });
    for (; c < tile.cols; ++c, from += 16 * kBytes) {
      const F32 w = load_scales(from, kType);
      unrolled<kRows>([&](auto i) BX_SIMD_LAMBDA {
        sums[i * kSums] = multiply_add(w, splat(rows[i][c]), sums[i * kSums]);
      });
    }
    unrolled<kRows>([&](auto i) BX_SIMD_LAMBDA {
      F32 sum = sums[i * kSums];
      unrolled<kSums, 1>([&](auto s) BX_SIMD_LAMBDA { sum = add(sum, sums[i * kSums + s]); });
      store(sum, out + i * 16 + part);
    });
  }
}

/// Calls the kernel for n rows. n is known only at run time, and kRows is its upper bound.
template <int kRows>
BX_SIMD void coded_n(const CodedTile& tile, const CodedRow* rows, int n, float* out) {
  if constexpr (kRows > 1) {
    if (n < kRows) return coded_n<kRows - 1>(tile, rows, n, out);
  }
  if (tile.table != nullptr)
    coded_rows<kRows, true>(tile, rows, out);
  else
    coded_rows<kRows, false>(tile, rows, out);
}

template <int kRows>
BX_SIMD void dense_n(const DenseTile& tile, const float* const* rows, int n, float* out) {
  if constexpr (kRows > 1) {
    if (n < kRows) return dense_n<kRows - 1>(tile, rows, n, out);
  }
  switch (tile.type) {
    case ScaleType::f32:
      return dense_rows<kRows, ScaleType::f32>(tile, rows, out);
    case ScaleType::f16:
      return dense_rows<kRows, ScaleType::f16>(tile, rows, out);
    case ScaleType::bf16:
      return dense_rows<kRows, ScaleType::bf16>(tile, rows, out);
  }
}

template <int kRows>
BX_SIMD void coded_exact_n(const CodedTile& tile, const float* quant_map, const float* const* rows,
                           int n, float* out) {
  if constexpr (kRows > 1) {
    if (n < kRows) return coded_exact_n<kRows - 1>(tile, quant_map, rows, n, out);
  }
  if (quant_map != nullptr)
    coded_exact_rows<kRows, true>(tile, quant_map, rows, out);
  else
    coded_exact_rows<kRows, false>(tile, quant_map, rows, out);
}

inline void coded(const CodedTile& tile, const CodedRow* rows, int n, float* out) {
  coded_n<kMaxRows>(tile, rows, n, out);
}

inline void dense(const DenseTile& tile, const float* const* rows, int n, float* out) {
  dense_n<kMaxRows>(tile, rows, n, out);
}

inline void coded_exact(const CodedTile& tile, const float* quant_map, const float* const* rows,
                        int n, float* out) {
  coded_exact_n<kMaxRows>(tile, quant_map, rows, n, out);
}

BX_SIMD_KERNEL void decode(const CodedTile& tile, const float* quant_map, float* panel) {
  for (int part = 0; part < 16; part += kLanes) {
    const auto keep = [&](int64_t c, int, F32 w)
                          BX_SIMD_LAMBDA { store(w, panel + c * 16 + part); };
    if (quant_map != nullptr)
      for_each_column<true>(tile, quant_map, part, keep);
    else
      for_each_column<false>(tile, quant_map, part, keep);
  }
}
