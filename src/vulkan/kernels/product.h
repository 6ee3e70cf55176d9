// The launches of the matrix product that several ops use:
//   y[r, o] = sum_c w[weight_row + o, c] * n(x[s(r), :n_cols])[c] + bias[o] + residual[r, o]
//   n(v)[c] = norm[c] * v[c] / sqrt(mean(v^2) + eps), or v[c] without a norm
// Bias, norm and residual are optional. A product can also be one half of a SwiGLU.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "shaders/params/product_rows.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

/// The rows of the result, and the row s(r) of x from which row r of the result is computed.
enum class ProductRows : std::uint32_t {
  of_tokens = BX_ROWS_OF_TOKENS,            ///< one row per row of the step; s(r) = r
  of_outputs = BX_ROWS_OF_OUTPUTS,          ///< one row per output of the step; s(r) = r
  select_outputs = BX_ROWS_SELECT_OUTPUTS,  ///< one row per output; s(r) is the output's step row
};

/// The form and the address of a weight, which shaders need to read it.
struct WeightUse {
  std::uint32_t form = BX_FORM_ABSENT;
  WeightAddress address;
};

struct ProductArgs {
  Binding x;                             ///< [., x_width], read
  Binding y;                             ///< [n_rows, n_out], write
  std::optional<Binding> residual = {};  ///< [n_rows, n_out], read
  /// [n_rows, n_out], read. If set, y = silu(product) * gated. Not together with a residual.
  std::optional<Binding> gated = {};
  WeightUse weight = {};  ///< flattened to [n, n_cols], where n is at least weight_row + n_out
  /// If set, y = silu(product with weight) * (product with up). Only for the kernel `vec`, and
  /// without a bias.
  WeightUse up = {};
  WeightUse bias = {};  ///< a packed vector [n]
  WeightUse norm = {};  ///< a packed vector [n_cols]
  float eps = 0;        ///< the epsilon of the norm, if there is one
  std::int64_t weight_row = 0;
  std::int64_t n_out = 0;
  std::int64_t n_cols = 0;
  std::int64_t x_width = 0;  ///< the number of columns of x; 0 if it is n_cols
  std::int64_t n_rows = 0;   ///< the size of the bucket: of rows or outputs, as `rows` says
  ProductRows rows = ProductRows::of_tokens;
};

/// The kernel that computes a product, and its sizes.
struct ProductChoice {
  enum class Kernel : std::uint8_t {
    vec,        ///< product_vec: reads the weight once for all rows; also computes the norm
    tile,       ///< product_tile: decodes the weight once per tile of rows; rms_norm runs before it
    half_tile,  ///< product_tile_float16: like tile, but with factors rounded to float16
    matrix,     ///< product_matrix: like half_tile, but on matrix units
  };
  Kernel kernel = Kernel::vec;
  std::uint32_t rows = 1;  ///< the number of rows of x per workgroup
  std::uint32_t outs = 1;  ///< the number of outputs per workgroup
  const char* reason = "";
};
/// Chooses the kernel for a product. `n_rows` is the size of the bucket. With precision "fast",
/// factors may be rounded to 16 bits.
ProductChoice choose_product(const DeviceCaps& caps, std::int64_t n_rows, Precision precision);

/// Whether a step of this bucket has so few rows that product_vec multiplies by them.
bool reads_weight_once(std::int64_t n_rows);
/// Whether the largest of these kernels take more registers than a lane has, so that they would be
/// spilled.
bool has_small_lanes(const DeviceCaps& caps);
/// The most rows by which a subgroup of product_vec multiplies at once, for weights of these forms. With
/// few registers, more rows would leave too few subgroups on a SIMD to hide the latency of memory, or
/// would not fit, and the rows are taken in several workgroups.
std::uint32_t most_rows_at_once(const DeviceCaps& caps, std::initializer_list<std::uint32_t> forms);
/// The number of outputs of a subgroup that multiplies by `rows` rows of x, for weights of these forms.
/// It is small for two reasons: the sums for all rows of x are in registers, and the unrolled loops make
/// the first compilation longer. With integer dots (`dots`), x takes no registers.
std::uint32_t outs_per_subgroup(const DeviceCaps& caps, std::uint32_t rows,
                                std::initializer_list<std::uint32_t> forms, bool dots = false);

/// The plan that several products of the same rows share. It says whether the norm is a separate
/// launch.
struct ProductPlan {
  bool norm_first = false;
  ScratchPlan::Block normed;  ///< [n_rows, n_cols]; used only if norm_first

  ProductPlan() = default;
  /// `n_rows` is the size of the bucket.
  ProductPlan(ScratchPlan& scratch, std::int64_t n_rows, std::int64_t n_cols, bool has_norm);
};
std::vector<Launch> product_launches(const LaunchContext& context, const ProductArgs& args,
                                     const ProductPlan& plan);
/// Several products of the same rows with the same norm. If the norm is a separate launch, it runs
/// once for all of them.
std::vector<Launch> product_launches(const LaunchContext& context,
                                     std::span<const ProductArgs> products,
                                     const ProductPlan& plan);

}  // namespace bitaxon::vulkan
