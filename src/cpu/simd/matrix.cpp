#include "cpu/simd/matrix.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "cpu/simd/rows.h"

namespace bitaxon::cpu {
namespace {

constexpr int kMostRows = 16;  ///< the largest number of rows in one call of a product kernel

/// Splits n rows into runs of at most `max_rows` rows, with sizes as even as possible. Calls
/// product(first row, number of rows) for each run.
template <class Product>
void in_runs(std::int64_t n, int max_rows, const Product& product) {
  const std::int64_t n_runs = divide_up<std::int64_t>(n, max_rows);
  for (std::int64_t run = 0; run < n_runs; ++run) {
    const std::int64_t first = n * run / n_runs;
    product(first, static_cast<int>(n * (run + 1) / n_runs - first));
  }
}

/// Decodes a tile of a weight in any form to floats.
/// panel  [cols][16]: receives the tile
/// row    [cols]: scratch
void decode_panel(const PackedWeight& weight, std::int64_t matrix, std::int64_t tile, float* panel,
                  float* row) {
  const std::int64_t cols = weight.desc.cols;
  const std::int64_t first = tile * kTileRows;
  const std::int64_t count = std::min(kTileRows, weight.desc.rows - first);
  if (count < kTileRows) std::fill_n(panel, cols * kTileRows, 0.0F);
  for (std::int64_t r = 0; r < count; ++r) {
    decode_row(weight, matrix, first + r, row);
    for (std::int64_t c = 0; c < cols; ++c) panel[c * kTileRows + r] = row[c];
  }
}

}  // namespace

ScaleType scale_type(DType dtype) {
  return dtype == DType::f16    ? ScaleType::f16
         : dtype == DType::bf16 ? ScaleType::bf16
                                : ScaleType::f32;
}

bool is_coded(const PackedWeight& weight) {
  return weight.layout && weight.layout->format != WeightFormat::dense;
}

const unsigned char* tile_data(const PackedWeight& weight, std::int64_t matrix, std::int64_t tile) {
  return reinterpret_cast<const unsigned char*>(weight.tiles) +
         weight.layout->tile_offset(matrix, tile);
}

CodedTile coded_tile(const PackedWeight& weight, std::int64_t matrix, std::int64_t tile,
                     std::int64_t block) {
  const TileLayout& layout = *weight.layout;
  const bool table = layout.format == WeightFormat::codebook;
  const unsigned char* data = tile_data(weight, matrix, tile);
  return {.codes = table              ? Codes::table
                   : layout.bits == 8 ? Codes::bytes
                                      : Codes::nibbles,
          .data = data,
          .scales = data + layout.scales_offset(),
          .data_stride = static_cast<std::int64_t>(layout.data_stride()),
          .scale_stride = static_cast<std::int64_t>(layout.scale_stride()),
          .table = table ? weight.integer_map.data() : nullptr,
          .table_scale = table ? weight.map_scale : 1.0F,
          .factor = weight.factor(matrix),
          .scale_type = layout.scale_type,
          .cols = weight.desc.cols,
          .group = layout.group,
          .block = block};
}

MatrixRows::MatrixRows(ScratchLayout& layout, std::int64_t max_rows, std::int64_t cols)
    : cols_(cols),
      q_(layout.take<std::int16_t>(max_rows * cols)),
      scales_(layout.take<float>(max_rows * (cols / 8 + 1))),
      sums_(layout.take<float>(max_rows * (cols / 8 + 1))) {}

void MatrixRows::prepare(const KernelArgs& args, const float* rows, std::int64_t n,
                         Precision precision, std::initializer_list<const PackedWeight*> weights) {
  rows_ = rows;
  std::int64_t common = 0;  // the greatest common divisor of the group sizes of all weights
  for (const PackedWeight* weight : weights)
    if (precision == Precision::fast && weight != nullptr && is_coded(*weight))
      common = std::gcd(common, weight->layout->group);
  coded_ = common > 0;
  block_ = common <= kMaxBlock ? common : std::gcd(common, kMaxBlock);
  if (!coded_) return;
  args.pool.parallel_for(n, 10 * cols_, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t r = begin; r < end; ++r)
      code_row(row(r), cols_, block_, q_ + r * cols_, scales_ + r * n_blocks(),
               sums_ + r * n_blocks());
  });
}

TileMemory::TileMemory(ScratchLayout& layout, std::int64_t max_rows, std::int64_t cols,
                       int n_outputs, int n_threads)
    : max_rows_(max_rows),
      cols_(cols),
      n_outputs_(n_outputs),
      outputs_(layout.take<float>(n_threads * n_outputs * max_rows * kTileRows)),
      panels_(layout.take<float>(n_threads * cols * (kTileRows + 1))) {}

const float* columns_of(const PackedWeight& weight, float* scratch) {
  if (weight.columns != nullptr) return weight.columns;
  const WeightDesc& desc = weight.desc;
  for (std::int64_t r = 0; r < desc.rows; ++r)
    for (std::int64_t c = 0; c < desc.cols; ++c)
      scratch[c * desc.rows + r] = decode_element(weight, r, c);
  return scratch;
}

const float* columns_or_zeros(const KernelArgs& args, int operand, std::int64_t n, float* scratch) {
  if (args.has(operand)) return columns_of(args.weight(operand), scratch);
  std::fill_n(scratch, n, 0.0F);
  return scratch;
}

void norm_rows(const KernelArgs& args, const float* x, const PackedWeight& norm, float eps,
               std::int64_t n_rows, std::int64_t cols, float* out) {
  args.pool.parallel_for(n_rows, 4 * cols, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t r = begin; r < end; ++r)
      rms_norm_row(x + r * cols, norm.columns, eps, cols, out + r * cols);
  });
}

void tile_product(const KernelArgs& args, const PackedWeight& weight, std::int64_t matrix,
                  std::int64_t tile, const MatrixRows& rows, const std::int32_t* indices,
                  std::int64_t n, float* panel, float* out) {
  const ProductKernels& kernels = *args.products;
  const int max_rows = std::min(kernels.max_rows, kMostRows);
  const auto index = [&](std::int64_t i) { return indices == nullptr ? i : indices[i]; };
  if (rows.coded() && is_coded(weight)) {
    const CodedTile coded = coded_tile(weight, matrix, tile, rows.block());
    in_runs(n, max_rows, [&](std::int64_t first, int count) {
      std::array<CodedRow, kMostRows> run;
      for (int i = 0; i < count; ++i)
        run[static_cast<std::size_t>(i)] = rows.coded_row(index(first + i));
      kernels.coded(coded, run.data(), count, out + first * kTileRows);
    });
    return;
  }
  const bool table = weight.desc.format == WeightFormat::codebook;
  const float* quant_map = table ? weight.quant_map.data() : nullptr;
  const auto float_rows = [&](std::int64_t first, int count) {
    std::array<const float*, kMostRows> run{};
    for (int i = 0; i < count; ++i) run[static_cast<std::size_t>(i)] = rows.row(index(first + i));
    return run;
  };
  if (is_coded(weight) && n <= max_rows) {
    kernels.coded_exact(coded_tile(weight, matrix, tile, kMaxBlock), quant_map,
                        float_rows(0, static_cast<int>(n)).data(), static_cast<int>(n), out);
    return;
  }
  DenseTile dense{reinterpret_cast<const unsigned char*>(panel), ScaleType::f32, weight.desc.cols};
  if (is_coded(weight)) {
    kernels.decode(coded_tile(weight, matrix, tile, kMaxBlock), quant_map, panel);
  } else if (weight.layout) {
    dense.data = tile_data(weight, matrix, tile);
    dense.type = scale_type(weight.layout->dtype);
  } else {
    decode_panel(weight, matrix, tile, panel, panel + weight.desc.cols * kTileRows);
  }
  in_runs(n, max_rows, [&](std::int64_t first, int count) {
    kernels.dense(dense, float_rows(first, count).data(), count, out + first * kTileRows);
  });
}

}  // namespace bitaxon::cpu
