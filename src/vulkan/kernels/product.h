// The matrix product that several ops are made of, as launches:
//   y[r, o] = sum_c w[weight_row + o, c] * n(x[s(r), :])[c] + residual[r, o]
//   n(v)[c] = norm[c] * v[c] / sqrt(mean(v^2) + eps), or v[c] without a norm
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "shaders/params/product_rows.h"
#include "vulkan/launch.h"

namespace bitaxon::vulkan {

/// Which rows are computed, and s(r).
enum class ProductRows : std::uint32_t {
  of_tokens = BX_ROWS_OF_TOKENS,              ///< each row of the step from itself
  of_segments = BX_ROWS_OF_SEGMENTS,          ///< one row per segment, from itself
  last_of_segment = BX_ROWS_LAST_OF_SEGMENT,  ///< one row per segment, from the segment's last row
};

/// A weight as shaders are told of it.
struct WeightUse {
  std::uint32_t form = BX_FORM_ABSENT;
  WeightRef ref;
};

struct ProductArgs {
  Binding x;                             ///< [., n_cols], read
  Binding y;                             ///< [n_rows, n_out], write
  std::optional<Binding> residual = {};  ///< [n_rows, n_out], read
  WeightUse weight = {};  ///< [at least weight_row + n_out, n_cols], matrices flattened
  WeightUse norm = {};    ///< a packed vector [n_cols]
  float eps = 0;          ///< of the norm, when there is one
  std::int64_t weight_row = 0;
  std::int64_t n_out = 0;
  std::int64_t n_cols = 0;
  std::int64_t n_rows = 0;  ///< the bucket: of tokens or of segments, as `rows` says
  ProductRows rows = ProductRows::of_tokens;
};

/// How a product is computed.
struct ProductChoice {
  enum class Kernel : std::uint8_t {
    vec,   ///< product_vec: the weight read once for all rows, the norm fused
    tile,  ///< product_tile: the weight decoded once per tile of rows, the norm in front of it
    coop,  ///< product_coop: the same by matrix units, factors rounded to float16
  };
  Kernel kernel = Kernel::vec;
  std::uint32_t rows = 1;  ///< of x per work group
  std::uint32_t outs = 1;  ///< outputs per work group
  const char* reason = "";
};
/// `n_rows` is the bucket; `fast`: factors may be rounded to 16 bits.
ProductChoice choose_product(const DeviceCaps& caps, std::int64_t n_rows, bool fast);

/// Words of scratch for product_launches.
std::int64_t product_scratch_words(const DeviceCaps& caps, std::int64_t n_rows, std::int64_t n_cols,
                                   bool has_norm);
/// `scratch`: a block of product_scratch_words; not looked at when that is 0.
std::vector<Launch> product_launches(const LaunchContext& context, const ProductArgs& args,
                                     const ScratchPlan::Block& scratch);

struct RmsNormArgs {
  Binding x;  ///< [., n_cols], read
  Binding y;  ///< [., n_cols], write
  WeightUse norm = {};
  float eps = 0;
  std::int64_t n_cols = 0;
  ProductRows rows = ProductRows::of_tokens;
};
/// y[r, :] = n(x[s(r), :]): the norm alone, for several products of the same rows.
Launch rms_norm_launch(const LaunchContext& context, const RmsNormArgs& args);

}  // namespace bitaxon::vulkan
