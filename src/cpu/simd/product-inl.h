// The product kernels, written with the vectors of the including namespace. That namespace must
// provide:
//   I32 and F32: vectors of kLanes lanes. Functions: zero_i, zero_f, splat, add, multiply,
//     multiply_add, to_float, store, load_u32, load_scales, prefetch, prefetch_once, in_register
//     (keeps a value from being loaded again), dot (adds the products of 16-bit pairs)
//   Table: sixteen integers. Functions: load_table<codes>, weights<place, codes> (two codes of each
//     word as a 16-bit pair, or the values of these codes in the table)
//   Map: sixteen floats. Functions: load_map, look_up
//   code_at<shift, mask>, kMaxRows
//   the function attributes BX_SIMD, BX_SIMD_KERNEL and BX_SIMD_LAMBDA

#include "cpu/simd/unrolled-inl.h"

/// The columns whose codes are in one word.
template <Codes kCodes>
constexpr int kPerWord = kCodes == Codes::bytes ? 4 : 8;

/// The bytes of one scale.
BX_SIMD int64_t size_of_scale(ScaleType type) {
  return type == ScaleType::f32 ? 4 : type == ScaleType::f16 || type == ScaleType::bf16 ? 2 : 1;
}

/// Prefetches weights. With one row, nothing reads them again.
template <int kRows>
BX_SIMD void prefetch_for(const unsigned char* from) {
  if (kRows == 1)
    prefetch_once(from);
  else
    prefetch(from);
}

template <int kRows, Codes kCodes>
BX_SIMD_KERNEL void coded_rows(const CodedTile& tile, const CodedRow* rows, float* out) {
  // With few rows, each row has several sums, so that additions do not wait for each other.
  constexpr int kSums = kRows >= 4 ? 1 : kRows >= 2 ? 2 : 4;
  constexpr int kColumns = kPerWord<kCodes>;
  constexpr bool kBias = kCodes != Codes::table;
  const int64_t block = tile.block;
  const int64_t scale_bytes = size_of_scale(tile.scale_type);
  const Table table = load_table<kCodes>(tile.table);
  for (int part = 0; part < 16; part += kLanes) {
    F32 total[kRows];
    unrolled<kRows>([&](auto i) BX_SIMD_LAMBDA { total[i] = zero_f(); });
    const unsigned char* group = tile.data;
    const unsigned char* scales = tile.scales;
    int64_t at_block = 0;
    for (int64_t column = 0; column < tile.cols;
         column += tile.group, group += tile.data_stride, scales += tile.scale_stride) {
      const F32 scale = load_scales(scales + part * scale_bytes, tile.scale_type);
      const F32 bias =
          kBias ? load_scales(scales + (16 + part) * scale_bytes, tile.scale_type) : zero_f();
      const unsigned char* codes = group + part * 4;
      for (int64_t c = 0; c < tile.group; c += block, ++at_block) {
        I32 sums[kRows * kSums];
        unrolled<kRows * kSums>([&](auto i) BX_SIMD_LAMBDA { sums[i] = zero_i(); });
        for (int64_t chunk = 0; chunk < block; chunk += kColumns, codes += 64) {
          prefetch_for<kRows>(codes);
          const I32 words = in_register(load_u32(codes));
          const int64_t at = column + c + chunk;
          unrolled<kColumns / 2>([&](auto j) BX_SIMD_LAMBDA {
            const I32 pair = weights<j, kCodes>(words, table);
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
          if (kBias) total[i] = multiply_add(splat(rows[i].sums[at_block]), bias, total[i]);
        });
      }
    }
    const F32 factor = splat(tile.table_scale * tile.factor);
    unrolled<kRows>([&](auto i) BX_SIMD_LAMBDA {
      store(kCodes == Codes::nibbles ? total[i] : multiply(total[i], factor), out + i * 16 + part);
    });
  }
}

/// Decodes one column of a tile exactly. Each lane of `words` holds the codes of one row.
/// `kPlace` is the column of the code among these.
template <int kPlace, Codes kCodes>
BX_SIMD F32 value_of(I32 words, const Map& map, F32 scale, F32 bias, F32 factor) {
  constexpr int kBits = kCodes == Codes::bytes ? 8 : 4;
  const I32 code = code_at<16 * (kPlace % 2) + kBits*(kPlace / 2), (1 << kBits) - 1>(words);
  if (kCodes == Codes::table) return multiply(look_up(code, map), scale);
  const F32 value = multiply_add(to_float(code), scale, bias);
  return kCodes == Codes::bytes ? multiply(value, factor) : value;
}

/// Calls use(column, column in its word, weights) for each column of a tile. The second argument is
/// a compile-time constant.
template <Codes kCodes, class Use>
BX_SIMD void for_each_column(const CodedTile& tile, const float* quant_map, int part,
                             const Use& use) {
  constexpr int kColumns = kPerWord<kCodes>;
  constexpr bool kTable = kCodes == Codes::table;
  const int64_t scale_bytes = size_of_scale(tile.scale_type);
  const Map map = load_map(quant_map);
  const F32 factor = splat(tile.factor);
  const unsigned char* group = tile.data;
  const unsigned char* scales = tile.scales;
  for (int64_t column = 0; column < tile.cols;
       column += tile.group, group += tile.data_stride, scales += tile.scale_stride) {
    F32 scale = load_scales(scales + part * scale_bytes, tile.scale_type);
    if (kTable) scale = multiply(scale, factor);
    const F32 bias =
        kTable ? zero_f() : load_scales(scales + (16 + part) * scale_bytes, tile.scale_type);
    const unsigned char* at = group + part * 4;
    for (int64_t c = column; c < column + tile.group; c += kColumns, at += 64) {
      const I32 words = in_register(load_u32(at));
      unrolled<kColumns>([&](auto place) BX_SIMD_LAMBDA {
        use(c + place, place, value_of<place, kCodes>(words, map, scale, bias, factor));
      });
    }
  }
}

template <int kRows, Codes kCodes>
BX_SIMD_KERNEL void coded_exact_rows(const CodedTile& tile, const float* quant_map,
                                     const float* const* rows, float* out) {
  for (int part = 0; part < 16; part += kLanes) {
    // Two sums per row, as in dense_rows(): one for even columns, one for odd columns.
    F32 sums[kRows * 2];
    unrolled<kRows * 2>([&](auto i) BX_SIMD_LAMBDA { sums[i] = zero_f(); });
    for_each_column<kCodes>(tile, quant_map, part,
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
        prefetch_for<kRows>(from);
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
  switch (tile.codes) {
    case Codes::nibbles:
      return coded_rows<kRows, Codes::nibbles>(tile, rows, out);
    case Codes::bytes:
      return coded_rows<kRows, Codes::bytes>(tile, rows, out);
    case Codes::table:
      return coded_rows<kRows, Codes::table>(tile, rows, out);
  }
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
    default:
      return dense_rows<kRows, ScaleType::bf16>(tile, rows, out);
  }
}

template <int kRows>
BX_SIMD void coded_exact_n(const CodedTile& tile, const float* quant_map, const float* const* rows,
                           int n, float* out) {
  if constexpr (kRows > 1) {
    if (n < kRows) return coded_exact_n<kRows - 1>(tile, quant_map, rows, n, out);
  }
  switch (tile.codes) {
    case Codes::nibbles:
      return coded_exact_rows<kRows, Codes::nibbles>(tile, quant_map, rows, out);
    case Codes::bytes:
      return coded_exact_rows<kRows, Codes::bytes>(tile, quant_map, rows, out);
    case Codes::table:
      return coded_exact_rows<kRows, Codes::table>(tile, quant_map, rows, out);
  }
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
    if (tile.codes == Codes::table)
      for_each_column<Codes::table>(tile, quant_map, part, keep);
    else if (tile.codes == Codes::bytes)
      for_each_column<Codes::bytes>(tile, quant_map, part, keep);
    else
      for_each_column<Codes::nibbles>(tile, quant_map, part, keep);
  }
}
