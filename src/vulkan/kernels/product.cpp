#include "vulkan/kernels/product.h"

#include <algorithm>
#include <numeric>

#include "bitaxon/error.h"
#include "core/align.h"
#include "shaders/params/product_vec.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::int64_t kBindingAlignment = 256;
constexpr std::uint32_t kRowsPerSubgroup = 4;
constexpr std::int64_t kMostColumns = 16;

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// A range of rows of the result or of its outputs.
struct Range {
  std::int64_t first = 0;
  std::int64_t end = 0;
};

/// [0, n) in pieces of at most `most`.
std::vector<Range> pieces_of(std::int64_t n, std::int64_t most) {
  std::vector<Range> pieces;
  for (std::int64_t first = 0; first < n; first += most)
    pieces.push_back({first, std::min(n, first + most)});
  return pieces;
}

/// Most rows of `row_bytes` bytes that one binding can hold, so that the next piece begins where a
/// binding may begin.
std::int64_t rows_per_binding(const DeviceCaps& caps, std::int64_t n_rows, std::int64_t row_bytes) {
  const auto limit = static_cast<std::int64_t>(
      std::min<std::uint64_t>(caps.max_storage_buffer_bytes, std::uint64_t{1} << 62));
  if (n_rows * row_bytes <= limit) return n_rows;
  const std::int64_t unit = kBindingAlignment / std::gcd(kBindingAlignment, row_bytes);
  const std::int64_t rows = limit / row_bytes / unit * unit;
  if (rows == 0)
    throw Error(ErrorKind::unsupported,
                "vulkan: a matrix product's rows are larger than the device binds at once");
  return rows;
}

Binding rows_of(Binding binding, Range rows, std::int64_t row_bytes) {
  binding.offset_bytes += static_cast<std::size_t>(rows.first * row_bytes);
  binding.size_bytes = static_cast<std::size_t>((rows.end - rows.first) * row_bytes);
  return binding;
}

Launch vec_launch(const LaunchContext& context, const ProductArgs& args, Range rows, Range outs,
                  std::uint32_t outs_per_group, std::uint32_t cols) {
  Launch launch;
  launch.shader = Shader::product_vec;
  launch.specialization = {{BX_PRODUCT_VEC_GROUP_SIZE, group_size(context.caps)},
                           {BX_PRODUCT_VEC_FORM, args.weight.form},
                           {BX_PRODUCT_VEC_NORM_FORM, args.norm.form},
                           {BX_PRODUCT_VEC_HAS_RESIDUAL, args.residual ? 1U : 0U},
                           {BX_PRODUCT_VEC_SOURCE, static_cast<std::uint32_t>(args.rows)},
                           {BX_PRODUCT_VEC_ROWS, kRowsPerSubgroup},
                           {BX_PRODUCT_VEC_COLS, cols}};
  launch.set_push(ProductVecParams{.weight = args.weight.ref,
                                   .norm = args.norm.ref,
                                   .weight_row = to_uint(args.weight_row),
                                   .first_out = to_uint(outs.first),
                                   .end_out = to_uint(outs.end),
                                   .n_out = to_uint(args.n_out),
                                   .n_cols = to_uint(args.n_cols),
                                   .first_row = to_uint(rows.first),
                                   .end_row = to_uint(rows.end),
                                   .eps = args.eps});
  const std::int64_t row_bytes = args.n_out * 4;
  launch.bindings = {context.step(), args.x,
                     args.residual ? rows_of(*args.residual, rows, row_bytes) : args.x,
                     rows_of(args.y, rows, row_bytes)};
  launch.grid[0].count = to_uint(divide_up(outs.end - outs.first, outs_per_group));
  launch.grid[1] = {
      .per = args.rows == ProductRows::of_tokens ? RowSpace::rows : RowSpace::segments,
      .rows_per_group = cols};
  return launch;
}

}  // namespace

std::int64_t product_scratch_words(const DeviceCaps&, std::int64_t, std::int64_t, bool) {
  return 0;
}

std::vector<Launch> product_launches(const LaunchContext& context, const ProductArgs& args,
                                     const ScratchPlan::Block&) {
  // A subgroup is at least as large as the device says it may be at the smallest.
  const std::uint32_t subgroups = group_size(context.caps) / context.caps.max_subgroup_size;
  const std::uint32_t outs_per_group = subgroups * kRowsPerSubgroup;
  const auto cols = static_cast<std::uint32_t>(std::min(args.n_rows, kMostColumns));
  std::vector<Launch> launches;
  for (Range rows :
       pieces_of(args.n_rows, rows_per_binding(context.caps, args.n_rows, args.n_out * 4)))
    for (Range outs :
         pieces_of(args.n_out, std::int64_t{context.caps.max_group_count[0]} * outs_per_group))
      launches.push_back(vec_launch(context, args, rows, outs, outs_per_group, cols));
  return launches;
}

}  // namespace bitaxon::vulkan
