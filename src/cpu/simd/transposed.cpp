#include "cpu/simd/transposed.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/transposed.cpp"
#include "cpu/simd/each_target.h"
// The rest must follow each_target.h.
#include <hwy/highway.h>

#include "cpu/simd/matrix.h"

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#undef BX_SIMD
#define BX_SIMD HWY_INLINE
#include "cpu/simd/unrolled-inl.h"

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
constexpr int kVectors = static_cast<int>(kStripRows) / kLanes;
// The columns whose sums fit in registers together.
constexpr int kCols = kLanes == 16 ? 8 : kLanes == 8 ? 2 : 1;

/// Adds the products of some columns of a panel with one strip of rows.
/// panel  [n_tiles][., 16]; tiles are `tile_stride` floats apart
/// rows   [n_tiles * 16][32]
/// sums   [kCols][32]
HWY_INLINE void add_columns(const float* panel, std::int64_t tile_stride, std::int64_t n_tiles,
                            const float* rows, float* sums) {
  const D d;
  V total[kCols * kVectors];
  unrolled<kCols * kVectors>([&](auto i) HWY_ATTR { total[i] = hn::LoadU(d, sums + i * kLanes); });
  for (std::int64_t t = 0; t < n_tiles; ++t, panel += tile_stride)
    for (std::int64_t o = 0; o < kTileRows; ++o, rows += kStripRows) {
      V g[kVectors];
      unrolled<kVectors>([&](auto v) HWY_ATTR { g[v] = hn::LoadU(d, rows + v * kLanes); });
      unrolled<kCols>([&](auto j) HWY_ATTR {
        const V w = hn::Set(d, panel[j * kTileRows + o]);
        unrolled<kVectors>([&](auto v) HWY_ATTR {
          constexpr int kAt = j * kVectors + v;
          total[kAt] = hn::MulAdd(w, g[v], total[kAt]);
        });
      });
    }
  unrolled<kCols * kVectors>([&](auto i) HWY_ATTR { hn::StoreU(total[i], d, sums + i * kLanes); });
}

/// Adds the products of all columns of a panel. n_cols is a multiple of 8.
void add_panel(const float* panel, std::int64_t n_cols, std::int64_t n_tiles, const float* rows,
               float* sums) {
  for (std::int64_t c = 0; c < n_cols; c += kCols)
    add_columns(panel + c * kTileRows, n_cols * kTileRows, n_tiles, rows, sums + c * kStripRows);
}

/// Converts n float16 or bfloat16 numbers to floats. n is a multiple of 16.
void widen(const unsigned char* from, ScaleType type, std::int64_t n, float* to) {
  const D d;
  using DHalf = hn::Rebind<std::uint16_t, D>;
  const auto* halves = reinterpret_cast<const std::uint16_t*>(from);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const auto bits = hn::LoadU(DHalf(), halves + i);
    if (type == ScaleType::bf16)
      hn::StoreU(hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(hn::RebindToUnsigned<D>(), bits))),
                 d, to + i);
    else
      hn::StoreU(hn::PromoteTo(d, hn::BitCast(hn::Rebind<hwy::float16_t, D>(), bits)), d, to + i);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitaxon::cpu {

HWY_EXPORT(add_panel);
HWY_EXPORT(widen);

namespace {

constexpr std::int64_t kUsualCols = 64;

/// A part of a coded tile: columns [first_col, first_col + n_cols), which block_cols() has made whole
/// groups or a part of one group.
CodedTile part_of(const CodedTile& tile, std::int64_t first_col, std::int64_t n_cols) {
  CodedTile part = tile;
  const std::int64_t group = first_col / tile.group;
  const std::int64_t codes_per_word = tile.codes == Codes::bytes ? 4 : 8;
  part.data += group * tile.data_stride + first_col % tile.group / codes_per_word * 64;
  part.scales += group * tile.scale_stride;
  part.cols = n_cols;
  part.group = std::min(tile.group, n_cols);
  return part;
}

}  // namespace

void decode_columns(const KernelArgs& args, const PackedWeight& weight, std::int64_t matrix,
                    std::int64_t tile, std::int64_t first_col, std::int64_t n_cols, float* panel,
                    float* row) {
  const WeightDesc& desc = weight.desc;
  std::fill(panel + n_cols * kTileRows, panel + align_up<std::int64_t>(n_cols, 8) * kTileRows,
            0.0F);
  if (is_coded(weight)) {
    const bool table = desc.format == WeightFormat::codebook;
    args.products->decode(part_of(coded_tile(weight, matrix, tile, kMaxBlock), first_col, n_cols),
                          table ? weight.quant_map.data() : nullptr, panel);
    return;
  }
  if (weight.layout) {
    const ScaleType type = scale_type(weight.layout->dtype);
    const std::int64_t size = type == ScaleType::f32 ? 4 : 2;
    const unsigned char* from = tile_data(weight, matrix, tile) + first_col * kTileRows * size;
    if (type == ScaleType::f32)
      std::copy_n(reinterpret_cast<const float*>(from), n_cols * kTileRows, panel);
    else
      HWY_DYNAMIC_DISPATCH(widen)(from, type, n_cols * kTileRows, panel);
    return;
  }
  const std::int64_t first_row = tile * kTileRows;
  const std::int64_t n_rows = std::min(kTileRows, desc.rows - first_row);
  if (n_rows < kTileRows) std::fill_n(panel, n_cols * kTileRows, 0.0F);
  for (std::int64_t r = 0; r < n_rows; ++r) {
    const float* values = row;
    std::int64_t stride = 1;
    if (weight.columns != nullptr) {
      values = weight.columns + first_col * desc.rows + first_row + r;
      stride = desc.rows;
    } else {
      decode(desc, weight.parts, (matrix * desc.rows + first_row + r) * desc.cols + first_col,
             {row, static_cast<std::size_t>(n_cols)});
    }
    for (std::int64_t c = 0; c < n_cols; ++c) panel[c * kTileRows + r] = values[c * stride];
  }
}

void StripRows::pack(const KernelArgs& args, const float* rows, std::int64_t stride,
                     const std::int32_t* indices, std::int64_t n) {
  n_rows_ = n;
  const std::int64_t n_padded = align_up(n_out_, kTileRows);
  // An item is sixteen outputs of a strip.
  const std::int64_t per_strip = n_padded / kTileRows;
  args.pool.parallel_for(
      n_strips() * per_strip, 2 * kStripRows * kTileRows,
      [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t item = begin; item < end; ++item) {
          const std::int64_t first = item / per_strip * kStripRows;
          const std::int64_t first_out = item % per_strip * kTileRows;
          const std::int64_t count = std::min(kTileRows, n_out_ - first_out);
          float* to = packed_ + item * kTileRows * kStripRows;
          for (std::int64_t r = 0; r < kStripRows; ++r) {
            const std::int64_t row = first + r;
            const std::int64_t valid = row < n ? count : 0;
            const float* from =
                valid == 0 ? rows
                           : rows + (indices == nullptr ? row : indices[row]) * stride + first_out;
            for (std::int64_t o = 0; o < valid; ++o) to[o * kStripRows + r] = from[o];
            for (std::int64_t o = valid; o < kTileRows; ++o) to[o * kStripRows + r] = 0;
          }
        }
      });
}

std::int64_t block_cols(const PackedWeight& weight) {
  if (!is_coded(weight)) return kUsualCols;
  const std::int64_t group = weight.layout->group;
  if (group <= kMostBlockCols) return std::max<std::int64_t>(kUsualCols / group, 1) * group;
  // A block is a part of a group, of whole words of codes.
  for (std::int64_t cols = kUsualCols; cols > 8; cols -= 8)
    if (group % cols == 0) return cols;
  return 8;
}

void transposed_product(const KernelArgs& args, const PackedWeight& weight, std::int64_t matrix,
                        const StripRows& rows, const TransposedBlock& block, float* panel,
                        float* out) {
  const std::int64_t n_cols = align_up<std::int64_t>(block.n_cols, 8);
  const std::int64_t n_tiles = divide_up(weight.desc.rows, kTileRows);
  float* row = panel + kTilesAtOnce * n_cols * kTileRows;
  std::fill_n(out, block.n_strips * n_cols * kStripRows, 0.0F);
  for (std::int64_t first = 0; first < n_tiles; first += kTilesAtOnce) {
    const std::int64_t count = std::min(kTilesAtOnce, n_tiles - first);
    for (std::int64_t t = 0; t < count; ++t)
      decode_columns(args, weight, matrix, first + t, block.first_col, block.n_cols,
                     panel + t * n_cols * kTileRows, row);
    for (std::int64_t s = 0; s < block.n_strips; ++s) HWY_DYNAMIC_DISPATCH(add_panel)
    (panel, n_cols, count, rows.strip(block.first_strip + s) + first * kTileRows * kStripRows,
     out + s * n_cols * kStripRows);
  }
}

}  // namespace bitaxon::cpu
#endif
